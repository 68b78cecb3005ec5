// Every kind of base, every reader: images that fairing makes on an OCI index, a Docker manifest
// list, a single v2s2 image, one with a zstd layer and one of 60 layers are run by dockerd, podman
// and containerd, judged by crane and unpacked by umoci. And archives, copies and referrers between
// real peers.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../support/certificates.hpp"
#include "../support/docker_site.hpp"
#include "../support/nginx.hpp"
#include "../support/readers.hpp"
#include "../support/tar_archive.hpp"
#include "fairing/codec/gzip.hpp"
#include "fairing/core/json_text.hpp"
#include "fairing/oci/layout.hpp"

using namespace fairing;
using support::contains;
using support::missing;
using support::run;
using support::ShellResult;
using support::TarArchive;

namespace {

/// Prints the file that it is given: the interpreter of the bases, static and small.
constexpr const char* interpreter =
    "#include <stdio.h>\nint main(int n, char** a) { FILE* f = fopen(a[n - 1], \"r\"); int c;\n"
    "if (!f) return 3; while ((c = getc(f)) != EOF) if (c != '\\r') putchar(c); return 0; }\n";

/// One layer as it is stored.
struct StoredLayer {
    std::string bytes = {}, diff_id = {}, media_type = {};
};

/// What makes bases in an image layout, each under a tag of its own.
class Bases {
public:
    explicit Bases(const support::Workspace& space)
        : space_(space), layout_{space.path() / "bases"} {
        space.file("say.c", interpreter);
        const std::string program = space / "say";
        const ShellResult built = run("cc -static -Os -o " + program + ' ' + (space / "say.c") +
                                      " 2>&1 && strip " + program);
        REQUIRE_MESSAGE(built.exit_code == 0, built.output);
        tar_ = TarArchive{}
                   .folder("bin/")
                   .file("bin/say", read_file(program), 0755)
                   .folder("etc/")
                   .file("etc/passwd", "root:x:0:0:root:/:/bin/say\n")
                   .bytes();
        const StoredLayer plain = layer(tar_);
        const oci::RawManifest one = image({plain}, oci::host_platform(), "");
        write_index("index", {one, image({plain}, {.architecture = "riscv64"}, "")});
        write_index("list", {docker(one), docker(image({plain}, {.architecture = "riscv64"}, ""))});
        layout_.write_manifest(docker(one), "v2s2");
        image({zstd()}, oci::host_platform(), "zstd");
        std::vector<StoredLayer> sixty{plain};
        while (sixty.size() < 60) {
            const std::string name = "layers/" + std::to_string(sixty.size());
            sixty.push_back(layer(TarArchive{}.file(name, name).bytes()));
        }
        image(sixty, oci::host_platform(), "sixty");
    }

private:
    static StoredLayer layer(const std::string& tar) {
        return {.bytes = codec::gzip(tar),
                .diff_id = oci::digest_of(tar),
                .media_type = std::string{oci::media_type::layer_gzip}};
    }
    [[nodiscard]] StoredLayer zstd() const {
        space_.file("layer.tar", tar_);
        const ShellResult packed = run("zstd -q -f " + (space_ / "layer.tar") + " 2>&1");
        REQUIRE_MESSAGE(packed.exit_code == 0, packed.output);
        return {.bytes = read_file(space_ / "layer.tar.zst"),
                .diff_id = oci::digest_of(tar_),
                .media_type = std::string{oci::media_type::layer_zstd}};
    }
    oci::Descriptor put(std::string_view type, const std::string& bytes) {
        const oci::Descriptor blob{
            .media_type = std::string{type}, .digest = oci::digest_of(bytes), .size = bytes.size()};
        layout_.write_blob(blob, net::Body::of(bytes), {});
        return blob;
    }
    oci::RawManifest image(const std::vector<StoredLayer>& layers, const oci::Platform& platform,
                           const std::string& tag) {
        Json descriptors = Json::array();
        Json diff_ids = Json::array();
        for (const StoredLayer& each : layers) {
            descriptors.push_back(put(each.media_type, each.bytes).json());
            diff_ids.push_back(each.diff_id);
        }
        const Json config = {{"os", platform.os},
                             {"architecture", platform.architecture},
                             {"config", {{"Env", {"PATH=/bin"}}}},
                             {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
        const Json manifest = {{"schemaVersion", 2},
                               {"mediaType", oci::media_type::manifest},
                               {"config", put(oci::media_type::config, config.dump()).json()},
                               {"layers", std::move(descriptors)}};
        const oci::RawManifest raw{.media_type = std::string{oci::media_type::manifest},
                                   .body = manifest.dump()};
        if (!tag.empty()) {
            layout_.write_manifest(raw, tag);
        }
        return raw;
    }
    /// The same image as Docker's version 2, schema 2.
    static oci::RawManifest docker(const oci::RawManifest& raw) {
        Json manifest = Json::parse(raw.body);
        manifest["mediaType"] = oci::media_type::docker_manifest;
        manifest["config"]["mediaType"] = oci::media_type::docker_config;
        for (Json& each : manifest["layers"]) {
            each["mediaType"] = oci::media_type::docker_layer_gzip;
        }
        return {.media_type = std::string{oci::media_type::docker_manifest},
                .body = manifest.dump()};
    }
    void write_index(const std::string& tag, const std::vector<oci::RawManifest>& images) {
        const bool is_docker = images[0].media_type == oci::media_type::docker_manifest;
        const std::string type{is_docker ? oci::media_type::docker_list : oci::media_type::index};
        Json entries = Json::array();
        for (const oci::RawManifest& each : images) {
            layout_.write_child(each);
            Json entry = each.descriptor().json();
            entry["platform"] = {
                {"os", "linux"},
                {"architecture", entries.empty() ? oci::host_platform().architecture : "riscv64"}};
            entries.push_back(std::move(entry));
        }
        layout_.write_manifest(
            {.media_type = type,
             .body =
                 Json{{"schemaVersion", 2}, {"mediaType", type}, {"manifests", std::move(entries)}}
                     .dump()},
            tag);
    }

    const support::Workspace& space_;
    oci::Layout layout_;
    std::string tar_ = {};
};

/// The site with the bases in its registry, and a script for their interpreter.
class BaseSite {
public:
    static const BaseSite* get() {
        support::Site* site = support::Site::get();
        if (site == nullptr) {
            return nullptr;
        }
        for (const char* program : {"cc", "zstd"}) {
            if (!test::has_program(program)) {
                MESSAGE("skipped: needs " << program);
                return nullptr;
            }
        }
        static const BaseSite made{*site};
        return &made;
    }
    BaseSite(BaseSite&&) = delete;
    BaseSite& operator=(BaseSite&&) = delete;
    ~BaseSite() = default;

    [[nodiscard]] const support::Site& site() const noexcept { return site_; }
    [[nodiscard]] std::string base(const std::string& name) const {
        return site_.host() + "/bases/" + name + ":v1";
    }
    [[nodiscard]] std::string layout(const std::string& name) const {
        return "oci:" + (space_ / "bases") + ':' + name;
    }
    /// The reference by digest of an image on that base.
    [[nodiscard]] std::string build(const std::string& name, const std::string& more = {}) const {
        return site_.build_job((space_ / "words") + " --image-name on-" + name + ' ' + more,
                               base(name));
    }
    /// The one line that `fairing ARGUMENTS` prints.
    [[nodiscard]] std::string line(const std::string& arguments) const {
        const ShellResult result = site_.fairing(arguments);
        CAPTURE(site_.errors());
        CAPTURE(arguments);
        REQUIRE(result.exit_code == 0);
        return result.output.substr(0, result.output.find('\n'));
    }

private:
    explicit BaseSite(const support::Site& site) : site_(site) {
        const Bases bases{space_};
        space_.file("words", "#!/bin/say\nhello from the image\n", 0755);
        for (const char* name : {"index", "list", "v2s2", "zstd", "sixty"}) {
            static_cast<void>(line("copy " + layout(name) + ' ' + base(name)));
        }
    }

    const support::Site& site_;
    support::Workspace space_ = {};
};

const std::string said = "#!/bin/say\nhello from the image\n";

}  // namespace

TEST_CASE("row 34: every kind of base: accepted, run, validated and unpacked by every reader") {
    const BaseSite* bases = BaseSite::get();
    const support::DockerSite* docker = support::DockerSite::get();
    if (bases == nullptr || docker == nullptr || missing("podman") || missing("containerd") ||
        missing("umoci")) {
        return;
    }
    const support::Podman podman;
    const support::Containerd containerd;
    REQUIRE(containerd.running());
    const auto umoci = [](const std::string& reference) {
        const support::Workspace space;  // images of equal digest come twice
        // umoci knows no zstd; skopeo, which does, makes plain layers of it.
        return run("(cd " + space.path().string() + " && skopeo copy -q --src-tls-verify=false " +
                   support::Site::docker_url(reference) +
                   " dir:dir --dest-decompress && skopeo copy -q dir:dir oci:layout:x && "
                   "umoci unpack --image layout:x bundle && cat bundle/rootfs/app/words) 2>&1");
    };
    // crane reads gzip only: of zstd layers it judges all but the content.
    const auto crane = [](const std::string& reference) {
        return run("crane validate --insecure " +
                   std::string{contains(reference, "/on-zstd:") ? "--fast " : ""} + "--remote " +
                   reference + " 2>&1 && echo hello from the image");
    };
    struct Reader {
        std::string name;
        std::function<ShellResult(const std::string&)> read;
    };
    std::vector<Reader> readers = {
        {"dockerd", [&](const std::string& image) { return docker->engine().run_image(image); }},
        {"podman", [&](const std::string& image) { return podman.run_image(image); }},
        {"containerd", [&](const std::string& image) { return containerd.run_image(image); }},
        {"umoci", umoci},
    };
    if (test::has_program("crane")) {
        readers.push_back({"crane", crane});
    } else {
        MESSAGE("skipped: crane is not there (tools/dependencies peers)");
    }
    for (const std::string name : {"index", "list", "v2s2", "zstd", "sixty"}) {
        std::vector<std::string> images{bases->build(name)};
        if (name == "index" || name == "list") {
            images.push_back(bases->build(name, "--all-platforms"));
        }
        for (const std::string& image : images) {
            for (const Reader& reader : readers) {
                CAPTURE(name);
                CAPTURE(image);
                CAPTURE(reader.name);
                const ShellResult result = reader.read(image);
                CAPTURE(result.output);
                CHECK(result.exit_code == 0);
                CHECK(contains(result.output, "hello from the image\n"));
            }
        }
    }
}

TEST_CASE("an archive is loaded by dockerd, podman and skopeo, and theirs are bases for us") {
    const BaseSite* bases = BaseSite::get();
    const support::DockerSite* docker = support::DockerSite::get();
    if (bases == nullptr || docker == nullptr || missing("podman")) {
        return;
    }
    const support::Workspace space;
    const std::string file = space / "job.tar";
    const std::string on_index = bases->build("index");
    static_cast<void>(bases->line("copy " + on_index + " docker-archive:" + file + ":team/job:v1"));

    const ShellResult loaded = docker->engine().docker("load -q -i " + file);
    CAPTURE(loaded.output);
    CHECK(contains(loaded.output, "team/job:v1"));
    CHECK(docker->engine().docker("run --rm --network host team/job:v1").output == said);

    const support::Podman podman;
    const ShellResult taken = podman.podman("load -q -i " + file);
    CAPTURE(taken.output);
    CHECK(taken.exit_code == 0);
    CHECK(contains(taken.output, "team/job:v1"));
    CHECK(podman.run_local("team/job:v1").output == said);

    const ShellResult copied = run("skopeo copy -q docker-archive:" + file +
                                   ":team/job:v1 oci:" + (space / "skopeo") + ":x 2>&1");
    CHECK_MESSAGE(copied.exit_code == 0, copied.output);

    // Back again: what docker save, podman save and skopeo write, old form and layout in a tar.
    const std::string saved = space / "saved.tar";
    const auto write = [&](const std::string& name) {
        std::filesystem::remove(saved);
        return name == "docker save" ? docker->engine().docker("save -o " + saved + " team/job:v1")
               : name == "podman save"
                   ? podman.podman("save -q --format oci-archive -o " + saved + " team/job:v1")
                   : run("skopeo copy -q oci:" + (space / "skopeo") + ":x docker-archive:" + saved +
                         ":team/job:v1 2>&1");
    };
    for (const std::string name : {"docker save", "podman save", "skopeo"}) {
        CAPTURE(name);
        const ShellResult written = write(name);
        REQUIRE_MESSAGE(written.exit_code == 0, written.output);
        const std::string pushed = bases->line("copy docker-archive:" + saved + ' ' +
                                               bases->site().host() + "/saved/job:v1");
        CHECK(docker->engine().run_image(pushed).output == said);
        const std::string above = bases->site().build_job(
            bases->site().source() + "/examples/train.py --image-name above",
            "docker-archive:" + saved);
        CHECK(docker->engine().docker("pull -q " + above).exit_code == 0);
    }
}

TEST_CASE("copies between registries are the same bytes, and tags are listed page by page") {
    const BaseSite* bases = BaseSite::get();
    if (bases == nullptr) {
        return;
    }
    const support::DockerRegistry other;
    REQUIRE(other.running());
    const std::string there = other.host() + "/copies/index";
    for (int i = 0; i < 3; ++i) {
        const std::string copy =
            bases->line("copy " + bases->base("index") + ' ' + there + ":v" + std::to_string(i));
        CHECK(copy.starts_with(there + ":v" + std::to_string(i) + "@sha256:"));
    }
    const auto raw = [&](const std::string& what) {
        return bases->site().fairing("inspect " + what).output;
    };
    CHECK(raw("--manifest " + bases->base("index")) == raw("--manifest " + there + ":v0"));
    CHECK(raw("--config " + bases->base("index")) == raw("--config " + there + ":v0"));
    const std::string config = raw("--config " + there + ":v0");
    CHECK(contains(raw("--manifest --platform linux/riscv64 " + there + ":v0"), "\"layers\""));
    const std::string digest = oci::digest_of(config);
    CHECK(contains(raw("--manifest --platform linux/" + oci::host_platform().architecture + ' ' +
                       there + ":v0"),
                   digest));
    CHECK(support::count(raw("--layers " + bases->base("sixty")), "\n") == 60);
    CHECK(raw("--layers " + there + ":v0").starts_with("sha256:"));
    CHECK(bases->site().fairing("tags " + there).output == "v0\nv1\nv2\n");
    CHECK(bases->site().fairing("tags " + there + ":v0").exit_code == 64);
    CHECK(bases->site().fairing("tags " + other.host() + "/absent").exit_code == 65);
    const ShellResult skopeo =
        run("skopeo inspect --raw --tls-verify=false docker://" + there + ":v1 2>&1");
    CHECK(skopeo.output == raw("--manifest " + there + ":v1"));
    if (test::has_program("crane")) {
        CHECK(run("crane validate --insecure --remote " + there + ":v2 2>&1").exit_code == 0);
    }
}

TEST_CASE("referrers in a registry that has their API: without a tag") {
    const BaseSite* bases = BaseSite::get();
    if (bases == nullptr) {
        return;
    }
    if (!test::has_program("referrers-registry")) {
        MESSAGE("skipped: referrers-registry is not there (tools/dependencies peers)");
        return;
    }
    const support::Workspace space;
    const int port = test::free_port();
    const std::string host = "127.0.0.1:" + std::to_string(port);
    test::ChildProcess server{{"referrers-registry", host}, space / "log"};
    REQUIRE(server.listens(port));
    space.file("sbom.json", R"({"spdxVersion":"SPDX-2.3"})");
    const std::string image = host + "/team/job:v1";
    static_cast<void>(bases->line("copy " + bases->base("index") + ' ' + image));
    const std::string artifact = bases->line("attach " + image + ' ' + (space / "sbom.json") +
                                             " --type application/spdx+json");
    CHECK(contains(bases->site().fairing("inspect --referrers " + image).output,
                   artifact.substr(artifact.find('@') + 1)));
    CHECK(bases->site().fairing("tags " + host + "/team/job").output == "v1\n");
    const std::string copy = host + "/team/copy:v1";
    static_cast<void>(bases->line("copy --referrers " + image + ' ' + copy));
    CHECK(contains(bases->site().fairing("inspect --referrers " + copy).output,
                   artifact.substr(artifact.find('@') + 1)));
}

TEST_CASE("referrers in a registry without their API: by the tag, as other tools read it") {
    const BaseSite* bases = BaseSite::get();
    if (bases == nullptr) {
        return;
    }
    const support::Workspace space;
    space.file("sbom.json", R"({"spdxVersion":"SPDX-2.3"})");
    const std::string image = bases->base("v2s2");
    const std::string artifact = bases->line("attach " + image + ' ' + (space / "sbom.json") +
                                             " --type application/spdx+json");
    const ShellResult listed = bases->site().fairing("inspect --referrers " + image);
    CHECK(contains(listed.output, artifact.substr(artifact.find('@') + 1)));
    CHECK(contains(listed.output, "application/spdx+json"));
    const std::string manifest = bases->site().fairing("inspect --manifest " + image).output;
    const std::string tag = "sha256-" + oci::digest_hex(oci::digest_of(manifest));
    const std::string repository = bases->site().host() + "/bases/v2s2";
    CHECK(contains(bases->site().fairing("tags " + repository).output, tag));
    const ShellResult index =
        run("skopeo inspect --raw --tls-verify=false docker://" + repository + ':' + tag + " 2>&1");
    CHECK(contains(index.output, "\"artifactType\":\"application/spdx+json\""));

    const std::string copy = "oci:" + (space / "copy");
    static_cast<void>(bases->line("copy --referrers " + image + ' ' + copy + ":v1"));
    CHECK(contains(bases->site().fairing("inspect --referrers " + copy + ":v1").output,
                   "application/spdx+json"));
}

TEST_CASE("a base comes from its mirror, and from its registry when the mirror is gone") {
    const BaseSite* bases = BaseSite::get();
    if (bases == nullptr) {
        return;
    }
    const support::Workspace space;
    space.file("words", said, 0755);
    const auto build = [&](const std::string& mirror, const std::string& more) {
        return "cd " + space.path().string() + " && FAIRING_CACHE=" + (space / "cache-") +
               std::to_string(mirror.size() + more.size()) + ' ' + bases->site().command() +
               " build words --registry oci:out --base-image " + more + " 2>&1";
    };
    // origin.invalid answers nobody: all of it is the mirror's.
    space.file("fairing.json", R"({"registries": {"origin.invalid": {"mirrors": [")" +
                                   bases->site().host() + R"("]}}})");
    const ShellResult mirrored = run(build("", "origin.invalid/bases/v2s2:v1"));
    CHECK_MESSAGE(mirrored.exit_code == 0, mirrored.output);
    space.file("fairing.json", "{}");
    const std::string nobody = "localhost:" + std::to_string(test::free_port());
    const ShellResult fallen =
        run(build("x", bases->base("v2s2") + " --mirror " + bases->site().host() + '=' + nobody));
    CHECK_MESSAGE(fallen.exit_code == 0, fallen.output);
    CHECK(contains(fallen.output, "mirror " + nobody));
}

TEST_CASE("the table of fairing.json: a registry's own CA and client certificate") {
    const BaseSite* bases = BaseSite::get();
    const support::Certificates certificates;
    if (bases == nullptr || !certificates.made || support::missing_nginx()) {
        return;
    }
    const support::DockerRegistry registry;
    const support::Nginx strict{
        "ssl", "ssl_verify_client on;\nssl_client_certificate " + certificates.path("ca.pem") +
                   ";\nssl_certificate " + certificates.path("good.pem") +
                   ";\nssl_certificate_key " + certificates.path("key.pem") + ";\n" +
                   support::Nginx::pass_to(registry.port())};
    REQUIRE(strict.running());
    const support::Workspace space;
    const auto copy = [&](const Json& settings) {
        space.file("fairing.json", Json{{"registries", {{strict.host(), settings}}}}.dump());
        return run("cd " + space.path().string() + " && " + bases->site().command() + " copy " +
                   bases->base("v2s2") + ' ' + strict.host() + "/team/job:v1 2>&1");
    };
    const Json whole = {{"ca_file", certificates.path("ca.pem")},
                        {"certificate", certificates.path("client.pem")},
                        {"key", certificates.path("client.key")}};
    const ShellResult copied = copy(whole);
    CHECK_MESSAGE(copied.exit_code == 0, copied.output);
    CHECK(copy({{"ca_file", certificates.path("ca.pem")}}).exit_code != 0);
    CHECK(copy(Json::object()).exit_code != 0);
    Json absent = whole;
    absent["key"] = space / "absent.key";
    CHECK(contains(copy(absent).output, "absent.key"));
}
