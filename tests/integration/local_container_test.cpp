// LocalDeployer with the real runtimes and engines: crun, runc, dockerd, podman. What is missing is
// skipped.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "../support/hand_made_image.hpp"
#include "../support/podman_engine.hpp"
#include "../support/process_table.hpp"
#include "../support/workspace.hpp"
#include "fairing/deployers/local.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using support::HandMade;
using support::TarArchive;

namespace {

using Lines = std::vector<std::string>;

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// A base layer out of this machine's own programs and the libraries that they name.
TarArchive small_base() {
    TarArchive archive;
    std::set<std::string> libraries;
    archive.folder("usr/bin").link("bin", "usr/bin");
    for (const std::string name : {"sh", "sleep", "id", "cat", "setsid", "seq", "ls"}) {
        const auto program = find_program(name);
        REQUIRE(program);
        archive.file("usr/bin/" + name, bytes_of(*program), 0755);
        std::istringstream words{run({.arguments = {"ldd", program->string()}}).output};
        for (std::string word; words >> word;) {
            if (word.starts_with('/')) {
                libraries.insert(word);
            }
        }
    }
    for (const std::string& library : libraries) {
        archive.file(library, bytes_of(library), 0755);
    }
    return archive;
}

/// Everything in a private $TMPDIR, so that leftovers show.
struct Fixture {
    support::Workspace space = {};
    support::Workspace temporary = {};
    std::optional<std::string> before = env("TMPDIR");
    std::string children = support::children();  // the peers that serve other cases
    LocalDeployer deployer{.isolation = Isolation::container, .grace_seconds = 1};
    Session session = {};

    Fixture() { ::setenv("TMPDIR", temporary.path().c_str(), 1); }
    Fixture(Fixture&&) = delete;
    Fixture& operator=(Fixture&&) = delete;
    ~Fixture() {
        CHECK(std::filesystem::is_empty(temporary.path()));
        CHECK(support::children() == children);
        if (before) {
            ::setenv("TMPDIR", before->c_str(), 1);
        } else {
            ::unsetenv("TMPDIR");
        }
    }
    [[nodiscard]] Image image(const std::string& script, const std::string& mark = "mark") const {
        const std::string directory = space / "layout";
        oci::Layout layout{directory};
        static const TarArchive base = small_base();
        return HandMade{.base = {base},
                        .own = {TarArchive{}.file("app/run.sh", script, 0755)},
                        .command = {"sh", "/app/run.sh", mark},
                        .environment = {{"SEED", "7"}}}
            .write(layout, "oci:" + directory);
    }
};

Lines lines_of(const Workload& workload) {
    Lines lines;
    workload.follow([&lines](OutputLine line) { lines.push_back(std::move(line.text)); });
    return lines;
}

/// What is asked of every runtime and every engine.
void check_container(Fixture& f) {
    {
        const Workload workload =
            f.deployer.deploy(f.image("id -u; pwd; echo $SEED $FAIRING_RUNTIME; cat /app/run.sh > "
                                      "copy; ls; echo error >&2; exit 3\n"),
                              f.session);
        CHECK(workload.object().kind == "Container");
        Lines lines = lines_of(workload);
        std::sort(lines.begin(),
                  lines.end());  // two streams: their order to each other is the engine's
        CHECK(lines == Lines{"/app", "0", "7 1", "copy", "error", "run.sh"});
        CHECK(workload.status().exit_code == 3);
        CHECK(workload.status().reason == "exited with 3");
    }
    {
        const Lines lines = lines_of(f.deployer.deploy(f.image("seq 1 20000\n"), f.session));
        REQUIRE(lines.size() == 20000);
        CHECK(lines.back() == "20000");
    }
    CHECK(f.deployer.deploy(f.image("exit 0\n"), f.session).wait().state == State::succeeded);
    const std::string mark = support::unique_mark("container");
    const std::string stubborn =
        "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' $1 & echo ready; "
        "while :; do sleep 1; done\n";
    for (const bool by_stop : {false, true}) {
        std::stop_source source;
        f.session.stop = source.get_token();
        const Workload workload = f.deployer.deploy(f.image(stubborn, mark), f.session);
        CHECK(support::eventually([&] { return !workload.status().tail.empty(); }));
        CHECK_FALSE(support::processes_with(mark).empty());
        if (by_stop) {
            source.request_stop();
            CHECK(workload.wait().state == State::failed);
        }
        workload.remove();
        CHECK(support::eventually([&] { return support::processes_with(mark).empty(); }));
        f.session.stop = {};
    }
    // The image's own program decides in automatic mode too.
    f.deployer.isolation = Isolation::automatic;
    CHECK(f.deployer.deploy(f.image("exit 0\n"), f.session).object().kind == "Container");
}

/// A daemon that listens on a socket in `space`, ended with the object.
class Daemon {
public:
    Daemon(Command command, std::filesystem::path socket)
        : process_(std::move(command)),
          socket_(std::move(socket)),
          reader_([this](const std::stop_token& stop) {
              try {
                  process_.follow([this](Stream, std::string line) { last_ = std::move(line); },
                                  stop);
              } catch (const Cancelled&) {
                  // the end of the test
              }
          }) {}
    Daemon(Daemon&&) = delete;
    Daemon& operator=(Daemon&&) = delete;
    ~Daemon() {
        reader_.request_stop();
        reader_.join();
        process_.terminate(1min);
        static_cast<void>(process_.wait());
    }
    [[nodiscard]] bool answers() const {
        return support::eventually([this] {
            try {
                static_cast<void>(engine::Engine::connect(net::default_transport(), socket_));
                return true;
            } catch (const Error&) {
                return false;
            }
        });
    }

private:
    Process process_;
    std::filesystem::path socket_;
    std::string last_ = {};
    std::jthread reader_;
};

/// A PATH without runtimes, so that the engine is taken.
class NoRuntime {
public:
    explicit NoRuntime(const support::Workspace& space) : before_(env("PATH", "")) {
        ::setenv("PATH", space.path().c_str(), 1);
    }
    NoRuntime(NoRuntime&&) = delete;
    NoRuntime& operator=(NoRuntime&&) = delete;
    ~NoRuntime() { ::setenv("PATH", before_.c_str(), 1); }

private:
    std::string before_;
};

}  // namespace

TEST_CASE("runc") {
    if (!find_program("runc") || ::geteuid() != 0) {
        MESSAGE("skipped: needs runc and root");
        return;
    }
    Fixture f;
    f.deployer.runtime = "runc";
    check_container(f);
}

TEST_CASE("crun") {
    if (!find_program("crun") || ::geteuid() != 0) {
        MESSAGE("skipped: needs crun and root");
        return;
    }
    Fixture f;
    f.deployer.runtime = "crun";
    if (local::has_mixed_cgroups()) {
        // Such a machine is hidden from crun in a mount namespace of its own.
        f.space.file("crun",
                     "#!/bin/sh\nexec unshare --mount sh -c 'umount /sys/fs/cgroup/unified && exec "
                     "crun \"$@\"' crun "
                     "\"$@\"\n",
                     0755);
        f.deployer.runtime = f.space / "crun";
    }
    check_container(f);
}

TEST_CASE("our own violent death takes the container along") {
    const auto runtime = local::find_runtime({});
    if (!runtime || ::geteuid() != 0) {
        MESSAGE("skipped: needs a container runtime and root");
        return;
    }
    support::Workspace space;
    support::Workspace temporary;
    const std::string mark = support::unique_mark("killed");
    const std::string directory = space / "layout";
    oci::Layout layout{directory};
    const Image image = HandMade{
        .base = {small_base()},
        .command = {"sh", "-c", "trap '' TERM; while :; do sleep 1; done",
                    mark}}.write(layout, "oci:" + directory);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::setenv("TMPDIR", temporary.path().c_str(), 1);
        try {
            const Workload workload =
                LocalDeployer{.isolation = Isolation::container}.deploy(image, {});
            workload.wait();
        } catch (...) {
            // the test sees that nothing runs
        }
        ::_exit(1);
    }
    CHECK(support::eventually([&] { return support::processes_with(mark).size() >= 1; }));
    std::this_thread::sleep_for(500ms);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(support::eventually([&] { return support::processes_with(mark).empty(); }));
    CHECK(support::eventually([&] { return std::filesystem::is_empty(temporary.path()); }));
}

TEST_CASE("dockerd") {
    if (!find_program("dockerd") || ::geteuid() != 0) {
        MESSAGE("skipped: needs dockerd and root");
        return;
    }
    Fixture f;
    const std::string socket = f.space / "docker.sock";
    std::optional<Daemon> daemon;
    daemon.emplace(
        Command{.arguments = {"dockerd", "--data-root", f.space / "data", "--exec-root",
                              f.space / "exec", "--pidfile", f.space / "pid", "--host",
                              "unix://" + socket, "--iptables=false", "--ip6tables=false",
                              "--bridge=none", "--storage-driver=vfs"}},
        socket);
    if (!daemon->answers()) {
        MESSAGE("skipped: dockerd does not start here");
        return;
    }
    {
        static_cast<void>(f.image("exit 0\n"));  // needs the PATH
        const NoRuntime hidden{f.space};
        f.deployer.engine = socket;
        check_container(f);
    }
    daemon.reset();
    // What dockerd itself leaves mounted when it ends.
    static_cast<void>(run({.arguments = {"umount", f.space / "exec/netns/default"}}));
}

TEST_CASE("podman") {
    if (!find_program("podman") || ::geteuid() != 0) {
        MESSAGE("skipped: needs podman and root");
        return;
    }
    Fixture f;
    const support::PodmanEngine podman;
    if (!podman.running()) {
        MESSAGE("skipped: podman's service does not start here");
        return;
    }
    static_cast<void>(f.image("exit 0\n"));  // needs the PATH
    const NoRuntime hidden{f.space};
    f.deployer.engine = podman.socket();
    check_container(f);
}
