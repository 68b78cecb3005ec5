// The clouds' clients against what plays the clouds (tools/dependencies cloud-peers): moto, which
// checks signatures, s3rver, which checks the clock, fake-gcs-server, Azurite; and a scripted Azure
// file share.
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../support/child_process.hpp"
#include "../support/cloud_site.hpp"
#include "../support/faulty_transport.hpp"
#include "../support/http_server.hpp"
#include "../support/samples.hpp"
#include "fairing/builders/context_sources/azure.hpp"
#include "fairing/builders/context_sources/gcs.hpp"
#include "fairing/builders/context_sources/s3.hpp"
#include "fairing/cloud/aws/credentials.hpp"
#include "fairing/cloud/aws/ecr.hpp"
#include "fairing/cloud/aws/s3.hpp"
#include "fairing/cloud/azure/blob.hpp"
#include "fairing/cloud/azure/files.hpp"
#include "fairing/cloud/gcp/credentials.hpp"
#include "fairing/cloud/gcp/storage.hpp"
#include "fairing/net/httplib_transport.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::contains;
using support::error_of;
using Fault = support::FaultyTransport::Fault;

namespace {

/// One peer in a folder of its own, and a client's surroundings that reach it through a transport
/// that can fail. The clock is the machine's.
struct CloudPeer {
    support::Workspace place = {};
    int port = test::free_port();
    std::unique_ptr<test::ChildProcess> process = {};
    bool running = false;
    support::FaultyTransport transport{net::default_transport()};
    support::Log log = {};
    std::map<std::string, std::string> variables = {};

    /// `arguments` begin with the program; "PORT" and "FOLDER" in them are replaced.
    explicit CloudPeer(std::vector<std::string> arguments) {
        for (std::string& argument : arguments) {
            for (const auto& [name, value] :
                 {std::pair{std::string{"PORT"}, std::to_string(port)},
                  std::pair{std::string{"FOLDER"}, place.path().string()}}) {
                if (const std::size_t at = argument.find(name); at != std::string::npos) {
                    argument.replace(at, name.size(), value);
                }
            }
        }
        process = std::make_unique<test::ChildProcess>(arguments, place / "log");
        running = process->listens(port);
        variables["AWS_ENDPOINT_URL"] = url();
    }
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port); }
    [[nodiscard]] Connection connection() {
        return {.transport = std::ref(transport),
                .control = log.control(),
                .retry = {.first_delay = std::chrono::milliseconds{10}},
                .variable = [this](const char* name) -> std::optional<std::string> {
                    const auto found = variables.find(name);
                    return found == variables.end() ? std::nullopt : std::optional{found->second};
                }};
    }
    [[nodiscard]] aws::Client client(const std::string& id, const std::string& secret) {
        return {connection(),
                {[=] {
                     return aws::Credentials{.access_key_id = id,
                                             .secret_access_key = Secret{secret}};
                 },
                 {}},
                "eu-west-1"};
    }
};

bool lacks(const std::string& program) {
    if (test::has_program(program)) {
        return false;
    }
    MESSAGE("skipped: needs " << program << " (tools/dependencies cloud-peers)");
    return true;
}

constexpr std::uint64_t part = 5 << 20;
const std::string large = support::random_bytes(12 << 20, 7);  // three parts
const std::string odd_key = "builds/a b+c~(1)/\xc3\xbc";

/// Uploads by a context source, sees that it is there, and that it goes with its owner.
template <ContextSource Source, class Stored>
void check_source(CloudPeer& peer, const Source& source, const std::string& url,
                  const Stored& stored) {
    const std::string hash = "abc123";
    const Content archive = Content::of(large);
    const Connection connection = peer.connection();
    {
        const UploadedContext uploaded = source.upload({archive, hash, connection});
        CHECK(uploaded.url() == url);
        CHECK(stored() == large);
    }
    CHECK_MESSAGE(contains(error_of([&] { (void)stored(); }), "404 Not Found"),
                  "the context is still there");
}

std::string get(const aws::Client& client, const std::string& url) {
    const net::Answer answer = client.send({.service = "s3",
                                            .request = {.url = url, .max_body = 64 << 20},
                                            .attempted = "get",
                                            .subject = url});
    need_success(answer, "get", url);
    return answer.body;
}

}  // namespace

TEST_CASE("s3rver keeps what we upload, also over connections that break") {
    if (lacks("s3rver")) {
        return;
    }
    CloudPeer peer{{"s3rver", "-d", "FOLDER", "-a", "127.0.0.1", "-p", "PORT"}};
    REQUIRE(peer.running);
    const aws::Client client = peer.client("S3RVER", "S3RVER");
    const aws::S3Bucket bucket{client, "builds", {.part_size = part}};
    CHECK(bucket.ensure());
    CHECK_FALSE(bucket.ensure());
    const std::string url = peer.url() + "/builds/";
    bucket.put(odd_key, Content::of("abc"));
    CHECK(get(client, url + aws::detail::encoded_path(odd_key)) == "abc");
    peer.place.file("large", large);
    peer.transport.lose("partNumber=2", 2, Fault::lost_answer);
    bucket.put("large", Content::of_file(peer.place / "large"));
    CHECK(peer.transport.left() == 0);
    CHECK(get(client, url + "large") == large);
    bucket.remove("large");
    CHECK(contains(error_of([&] { (void)get(client, url + "large"); }), "404 Not Found"));
}

TEST_CASE("s3rver refuses a wrong clock, and takes the corrected one") {
    if (lacks("s3rver")) {
        return;
    }
    CloudPeer peer{{"s3rver", "-d", "FOLDER", "-a", "127.0.0.1", "-p", "PORT"}};
    REQUIRE(peer.running);
    Connection connection = peer.connection();
    connection.control.clock = [] {
        return std::chrono::system_clock::now() - std::chrono::hours{3};
    };
    const aws::Client client{connection,
                             {[] {
                                  return aws::Credentials{.access_key_id = "S3RVER",
                                                          .secret_access_key = Secret{"S3RVER"}};
                              },
                              {}},
                             "eu-west-1"};
    const aws::S3Bucket bucket{client, "builds"};
    CHECK(bucket.ensure());  // HEAD, whose answer can not say why
    bucket.put("k", Content::of("abc"));
    CHECK(get(client, peer.url() + "/builds/k") == "abc");
    int said = 0;
    for (const std::string& line : peer.log.lines) {
        said += contains(line, "s behind the one of 127.0.0.1") ? 1 : 0;
    }
    CHECK(said == 1);
}

namespace {

/// moto with one user, who may do everything; whoever else signs is refused.
struct Moto : CloudPeer {
    std::string id = {}, secret = {};

    Moto()
        : CloudPeer({"env", "INITIAL_NO_AUTH_ACTION_COUNT=3", "moto_server", "-H", "127.0.0.1",
                     "-p", "PORT"}) {
        if (!running) {
            return;
        }
        const aws::Client nobody = client("nobody", "nothing");
        const auto iam = [&](std::vector<std::pair<const char*, std::string>> form) {
            std::string text = "Version=2010-05-08";
            for (const auto& [key, value] : form) {
                text += std::string{"&"} + key + '=' + net::percent_encode(value);
            }
            const net::Answer answer = nobody.send(
                {.service = "iam",
                 .request = {.method = "POST",
                             .url = url() + '/',
                             .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                             .body = net::Body::of(text)},
                 .attempted = "prepare",
                 .subject = "moto",
                 .payload = codec::sha256_hex(text)});
            need_success(answer, "prepare", "moto");
            return answer.body;
        };
        iam({{"Action", "CreateUser"}, {"UserName", "me"}});
        iam({{"Action", "PutUserPolicy"},
             {"UserName", "me"},
             {"PolicyName", "all"},
             {"PolicyDocument",
              R"({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*",
                  "Resource": "*"}]})"}});
        const std::string key = iam({{"Action", "CreateAccessKey"}, {"UserName", "me"}});
        id = needed_xml_text(key, "AccessKeyId", "moto");
        secret = needed_xml_text(key, "SecretAccessKey", "moto");
    }
    [[nodiscard]] aws::Client user() { return client(id, secret); }
    [[nodiscard]] std::string uploads() { return get(user(), url() + "/builds?uploads="); }
};

}  // namespace

TEST_CASE("moto: who we are, a role, ECR's password and repositories") {
    if (lacks("moto_server")) {
        return;
    }
    Moto moto;
    REQUIRE(moto.running);
    const auto identity = aws::caller_identity(moto.user());
    CHECK(identity.account == "123456789012");
    CHECK(identity.arn == "arn:aws:iam::123456789012:user/me");
    const auto role =
        aws::assume_role(moto.user(), "arn:aws:iam::123456789012:role/builder", "fairing");
    CHECK(!role.session_token.empty());
    CHECK(role.expires > std::chrono::system_clock::now());
    const auto authorization = aws::ecr_authorization(moto.user());
    CHECK(authorization.user == "AWS");
    CHECK(!authorization.password.empty());
    CHECK(authorization.expires);
    CHECK(aws::ensure_ecr_repository(moto.user(), "team/job"));
    CHECK_FALSE(aws::ensure_ecr_repository(moto.user(), "team/job"));
    const std::string error =
        error_of([&] { (void)aws::caller_identity(moto.client(moto.id, "geheim")); });
    CHECK_MESSAGE(contains(error, "403 Forbidden: SignatureDoesNotMatch"), error);
    CHECK_FALSE(contains(error, "geheim"));
}

TEST_CASE("moto: what begins as a multipart upload is finished or aborted") {
    if (lacks("moto_server")) {
        return;
    }
    Moto moto;
    REQUIRE(moto.running);
    const aws::S3Bucket bucket{moto.user(), "builds", {.part_size = part}};
    CHECK(bucket.ensure());
    const Content content = Content::of(large);
    bucket.put(odd_key, Content::of("abc"));
    CHECK(get(moto.user(), moto.url() + "/builds/" + aws::detail::encoded_path(odd_key)) == "abc");
    const std::string error = error_of([&] {
        aws::S3Bucket(moto.client(moto.id, "geheim"), "builds").put("k", Content::of("abc"));
    });
    CHECK_MESSAGE(contains(error, "403 Forbidden: SignatureDoesNotMatch"), error);
    CHECK_FALSE(contains(error, "geheim"));

    moto.transport.lose("partNumber=3", 4, Fault::lost_request);
    bucket.put("k", content);
    CHECK(get(moto.user(), moto.url() + "/builds/k") == large);
    bucket.remove("k");

    moto.transport.lose("partNumber=3", 5, Fault::lost_request);
    CHECK(contains(error_of([&] { bucket.put("k", content); }),
                   "cannot upload part 3 of s3://builds/k after 5 attempts: connection reset"));
    CHECK(moto.transport.left() == 0);
    CHECK_FALSE(contains(moto.uploads(), "UploadId>"));

    moto.transport.lose("POST " + moto.url() + "/builds/k?uploadId=", 1, Fault::lost_answer);
    bucket.put("k", content);
    CHECK(get(moto.user(), moto.url() + "/builds/k") == large);

    moto.transport.replace("POST " + moto.url() + "/builds/k?uploadId=",
                           {.status = 200, .body = "<Error><Code>InternalError</Code></Error>"});
    CHECK(contains(error_of([&] { bucket.put("k", content); }), "200 OK, and then InternalError"));
    CHECK_FALSE(contains(moto.uploads(), "UploadId>"));
    CHECK(get(moto.user(), moto.url() + "/builds/k") == large);
}

TEST_CASE("moto: contexts of builds in S3, and in what speaks like it") {
    if (lacks("moto_server")) {
        return;
    }
    Moto moto;
    REQUIRE(moto.running);
    moto.variables.insert({{"AWS_ACCESS_KEY_ID", moto.id},
                           {"AWS_SECRET_ACCESS_KEY", moto.secret},
                           {"AWS_REGION", "eu-west-1"}});
    const auto stored = [&moto](const std::string& bucket) {
        return [&moto, bucket] {
            return get(moto.user(), moto.url() + '/' + bucket + "/fairing_builds/abc123");
        };
    };
    const std::string bucket = "kubeflow-123456789012-eu-west-1";
    check_source(moto, S3ContextSource{}, "s3://" + bucket + "/fairing_builds/abc123",
                 stored(bucket));
    check_source(
        moto,
        MinioContextSource{
            .endpoint = moto.url(), .access_key = moto.id, .secret_key = Secret{moto.secret}},
        "s3://kubeflow-us-east-1/fairing_builds/abc123", stored("kubeflow-us-east-1"));
    check_source(moto,
                 CosContextSource{.bucket = "cos",
                                  .endpoint = moto.url(),
                                  .access_key = moto.id,
                                  .secret_key = Secret{moto.secret}},
                 "s3://cos/fairing_builds/abc123", stored("cos"));
}

TEST_CASE("fake-gcs-server gets chunks, and half an object is not taken for a whole one") {
    if (lacks("fake-gcs-server")) {
        return;
    }
    CloudPeer peer{{"fake-gcs-server", "-scheme", "http", "-host", "127.0.0.1", "-port", "PORT",
                    "-backend", "memory", "-public-host", "127.0.0.1:PORT", "-external-url",
                    "http://127.0.0.1:PORT"}};
    REQUIRE(peer.running);
    peer.variables["STORAGE_EMULATOR_HOST"] = "127.0.0.1:" + std::to_string(peer.port);
    const gcp::Bucket bucket{peer.connection(), {}, "project-builds", {.chunk_size = part}};
    CHECK(bucket.ensure("project"));
    CHECK_FALSE(bucket.ensure("project"));
    const auto stored = [&](const std::string& name) {
        const net::Answer answer =
            peer.connection().send({.url = peer.url() + "/storage/v1/b/project-builds/o/" +
                                           net::percent_encode(name) + "?alt=media",
                                    .max_body = 64 << 20},
                                   "get", name);
        need_success(answer, "get", name);
        return answer.body;
    };
    bucket.put(odd_key, Content::of("abc"));
    CHECK(stored(odd_key) == "abc");
    bucket.put("empty", Content::of(""));
    CHECK(stored("empty").empty());
    bucket.put("large", Content::of(large));
    CHECK(stored("large") == large);
    // Asked how far it is, it takes the upload for finished; Google's does not.
    peer.transport.lose("PUT " + peer.url() + "/upload", 1, Fault::lost_request);
    CHECK(contains(error_of([&] { bucket.put("large", Content::of(large)); }),
                   "gs://project-builds/large: the service has 0 bytes of 12582912"));
    bucket.put("large", Content::of(large));
    CHECK(stored("large") == large);
    bucket.remove("large");
    CHECK(contains(error_of([&] { (void)stored("large"); }), "404 Not Found"));
    bucket.remove("large");
    check_source(peer, GcsContextSource{.project = "project", .bucket = "project-builds"},
                 "gs://project-builds/fairing_builds/abc123",
                 [&] { return stored("fairing_builds/abc123"); });
}

TEST_CASE("Azurite takes our shared key and a signature made of it, and no other key") {
    if (lacks("azurite-blob")) {
        return;
    }
    CloudPeer peer{{"azurite-blob", "--blobHost", "127.0.0.1", "--blobPort", "PORT", "--location",
                    "FOLDER", "--disableTelemetry", "--skipApiVersionCheck"}};
    REQUIRE(peer.running);
    const std::string key =  // the emulator's, which everybody knows
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    azure::StorageAccount account{.name = "devstoreaccount1",
                                  .credential = {.key = Secret{key}},
                                  .blob_endpoint = peer.url() + "/devstoreaccount1"};
    const azure::BlobContainer container{peer.connection(), account, "builds", part};
    CHECK(container.ensure());
    CHECK_FALSE(container.ensure());
    const azure::StorageClient client{peer.connection(), account, azure::StorageClient::Kind::blob};
    const auto stored = [&](const std::string& name) {
        net::Request request{.max_body = 64 << 20};
        const net::Answer answer =
            client.send(request, "/builds/" + azure::encoded_name(name), "get", name);
        need_success(answer, "get", name);
        return answer.body;
    };
    container.put(odd_key, Content::of("abc"));
    CHECK(stored(odd_key) == "abc");
    container.put("empty", Content::of(""));
    CHECK(stored("empty").empty());
    peer.transport.lose("comp=block&", 2, Fault::lost_answer);
    container.put("large", Content::of(large));
    CHECK(peer.transport.left() == 0);
    CHECK(stored("large") == large);
    container.remove("large");
    CHECK(contains(error_of([&] { (void)stored("large"); }), "404 Not Found: BlobNotFound"));

    // learn.microsoft.com/rest/api/storageservices/create-account-sas
    const std::string end =
        utc_text(std::chrono::system_clock::now() + std::chrono::hours{1}, "%Y-%m-%dT%H:%M:%SZ");
    const std::string text = "devstoreaccount1\nrwdlac\nb\nco\n\n" + end + "\n\nhttp\n2019-12-12\n";
    azure::StorageAccount shared = account;
    shared.credential = {.sas = Secret{"sv=2019-12-12&ss=b&srt=co&sp=rwdlac&spr=http&se=" +
                                       net::percent_encode(end) + "&sig=" +
                                       net::percent_encode(codec::base64_encode(
                                           codec::hmac_sha256(codec::base64_decode(key), text)))}};
    azure::BlobContainer{peer.connection(), shared, "builds"}.put("sas", Content::of("s"));
    CHECK(stored("sas") == "s");

    peer.variables["AZURE_STORAGE_CONNECTION_STRING"] =
        "AccountName=devstoreaccount1;AccountKey=" + key + ";BlobEndpoint=" + account.blob_endpoint;
    check_source(peer, AzureBlobContextSource{.container = "builds"},
                 account.blob_endpoint + "/builds/fairing_builds/abc123",
                 [&] { return stored("fairing_builds/abc123"); });

    account.credential.key = Secret{codec::base64_encode("geheim")};
    const azure::BlobContainer wrong{peer.connection(), account, "builds"};
    CHECK(contains(error_of([&] { wrong.put("k", Content::of("abc")); }),
                   "403 Forbidden: AuthorizationFailure"));
}

namespace {

/// A file share in memory that wants to be spoken to as Azure's documentation says, and loses every
/// third connection.
class ScriptedShare {
public:
    ScriptedShare() : server_([this](test::Peer& peer) { serve(peer); }) {}

    [[nodiscard]] std::string url() const { return server_.url("/acct"); }
    [[nodiscard]] std::map<std::string, std::string> entries() {
        const std::lock_guard lock{mutex_};
        return entries_;
    }

private:
    static std::string value(const std::string& head, const std::string& name) {
        std::string lower = head;
        std::transform(lower.begin(), lower.end(), lower.begin(), net::detail::lower);
        const std::size_t at = lower.find("\r\n" + name + ": ");
        if (at == std::string::npos) {
            return {};
        }
        const std::size_t begin = at + name.size() + 4;
        return head.substr(begin, head.find('\r', begin) - begin);
    }
    void serve(test::Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            const std::string length = value(head, "content-length");
            const std::string body = peer.body(length.empty() ? 0 : std::stoul(length));
            const std::lock_guard lock{mutex_};
            if (++requests_ % 3 == 0) {
                peer.reset();
                return;
            }
            const auto [status, code] = handle(head, body);
            peer.answer(status, "", code.empty() ? "" : "x-ms-error-code: " + code + "\r\n");
        }
    }
    std::pair<std::string, std::string> handle(const std::string& head, const std::string& body) {
        const std::size_t space = head.find(' ');
        const std::string method = head.substr(0, space);
        const std::string target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
        const std::string path = target.substr(0, target.find('?'));
        const std::string parent = path.substr(0, path.rfind('/'));
        if (!value(head, "authorization").starts_with("SharedKey acct:") ||
            value(head, "x-ms-date").empty() || value(head, "x-ms-version").empty()) {
            return {"403 Forbidden", "AuthenticationFailed"};
        }
        if (parent != "/acct" && !entries_.contains(parent)) {
            return {"404 Not Found", "ParentNotFound"};
        }
        if (method == "DELETE") {
            return entries_.erase(path) > 0 ? std::pair{"202 Accepted", ""}
                                            : std::pair{"404 Not Found", "ResourceNotFound"};
        }
        if (contains(target, "restype=")) {
            return entries_.emplace(path, "").second
                       ? std::pair{"201 Created", ""}
                       : std::pair{"409 Conflict", contains(target, "share")
                                                       ? "ShareAlreadyExists"
                                                       : "ResourceAlreadyExists"};
        }
        if (contains(target, "comp=range")) {
            const std::string range = value(head, "x-ms-range");  // "bytes=FIRST-LAST"
            const std::size_t first = std::stoul(range.substr(6));
            const std::size_t last = std::stoul(range.substr(range.find('-') + 1));
            std::string& file = entries_[path];
            if (value(head, "x-ms-write") != "update" || last - first + 1 != body.size() ||
                body.size() > (4U << 20) || last >= file.size()) {
                return {"400 Bad Request", "InvalidHeaderValue"};
            }
            file.replace(first, body.size(), body);
            return {"201 Created", ""};
        }
        if (value(head, "x-ms-type") != "file") {
            return {"400 Bad Request", "MissingRequiredHeader"};
        }
        entries_[path] = std::string(std::stoul(value(head, "x-ms-content-length")), '\0');
        return {"201 Created", ""};
    }

    std::mutex mutex_;
    int requests_ = 0;
    std::map<std::string, std::string> entries_;
    test::HttpServer server_;
};

}  // namespace

TEST_CASE("an Azure file share gets a folder over connections that break") {
    ScriptedShare server;
    const azure::FileShare share{{.transport = net::default_transport(),
                                  .retry = {.first_delay = std::chrono::milliseconds{5}}},
                                 {.name = "acct",
                                  .credential = {.key = Secret{codec::base64_encode("key")}},
                                  .file_endpoint = server.url()},
                                 "fairing-builds"};
    CHECK(share.ensure());
    const support::Workspace place;
    place.file("large", large);
    place.file("a/b c/empty", "");
    share.put_directory(place.path(), "build_1");
    const auto entries = server.entries();
    CHECK(entries.size() == 6);
    CHECK(entries.at("/acct/fairing-builds/build_1/large") == large);
    CHECK(entries.at("/acct/fairing-builds/build_1/a/b%20c/empty").empty());
    share.remove_file("build_1/large");
    CHECK(server.entries().size() == 5);

    const std::string text = "AccountName=acct;AccountKey=a2V5;FileEndpoint=" + server.url();
    const Connection connection{
        .transport = net::default_transport(),
        .retry = {.first_delay = std::chrono::milliseconds{5}},
        .variable = [&](const char* name) {
            return std::string_view{name} == "AZURE_STORAGE_CONNECTION_STRING" ? std::optional{text}
                                                                               : std::nullopt;
        }};
    const std::string hash = "abc123";
    const Content archive = Content::of(large);
    {
        const UploadedContext uploaded =
            AzureFilesContextSource{}.upload({archive, hash, connection});
        CHECK(uploaded.url() == "tar:///mnt/azure/build_abc123/context.tar.gz");
        CHECK(server.entries().at("/acct/fairing-builds/build_abc123/context.tar.gz") == large);
    }
    CHECK(server.entries().size() == 5);
}

TEST_CASE("where nobody answers, no metadata service costs more than two seconds") {
    support::CloudSite site;  // its environment and home are empty
    Connection connection = site.connection();
    connection.metadata = net::default_transport({.addresses = net::AddressGuard::off});
    const auto timed = [](const auto& call) {
        const auto begin = std::chrono::steady_clock::now();
        const std::string error = error_of(call);
        // The rest is for a machine that is loaded.
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{20});
        return error;
    };
    // 192.0.2.0/24 is for documentation: nobody is there (RFC 5737).
    CHECK(contains(timed([&] {
                       (void)aws::CredentialChain{connection,
                                                  {.metadata_endpoint = "http://192.0.2.1"}}
                           .find();
                   }),
                   "none in the environment"));
    site.variables["GCE_METADATA_HOST"] = "192.0.2.1";
    CHECK(contains(timed([&] { (void)gcp::CredentialChain{connection}.token(); }),
                   "nor a metadata server is there"));
    // Nor does one that takes the connection and says nothing.
    test::HttpServer silent{[](test::Peer& peer) { peer.pause(std::chrono::minutes{10}); }};
    CHECK(timed([&] {
              (void)aws::CredentialChain{connection, {.metadata_endpoint = silent.url("")}}.find();
          }) != "");
}
