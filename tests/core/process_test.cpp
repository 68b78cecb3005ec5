#include "fairing/core/process.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <ctime>
#include <fstream>
#include <thread>

#include "../support/process_table.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using support::eventually;
using support::processes_with;
using support::unique_mark;

namespace {

Command shell(std::string script, std::vector<std::string> arguments = {}) {
    Command command{.arguments = {"sh", "-c", std::move(script)}};
    command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
    return command;
}

std::vector<std::string> lines_of(const Command& command) {
    std::vector<std::string> lines;
    Process process{command};
    process.follow([&lines](Stream, const std::string& line) { lines.push_back(line); });
    return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("exit codes and signals are the program's own") {
    for (const int code : {0, 1, 3, 127, 255}) {
        const ProcessEnd end = Process{shell("exit " + std::to_string(code))}.wait();
        CHECK(end.exit_code == code);
        CHECK(end.signal == 0);
    }
    for (const int signal : {SIGKILL, SIGTERM, SIGSEGV, SIGABRT}) {
        const ProcessEnd end = Process{shell("kill -" + std::to_string(signal) + " $$")}.wait();
        CHECK(end.exit_code == 128 + signal);
        CHECK(end.signal == signal);
    }
}

TEST_CASE("the end can be asked for again, the output comes once") {
    Process process{shell("echo a; exit 4")};
    Lines lines;
    const Process::LineSink sink = [&lines](Stream, const std::string& line) {
        lines.push_back(line);
    };
    CHECK(process.follow(sink).exit_code == 4);
    CHECK(process.follow(sink).exit_code == 4);
    CHECK(process.wait().exit_code == 4);
    CHECK(lines == Lines{"a"});
}

TEST_CASE("arguments reach the program as they are, no shell between") {
    const Lines arguments{"a b", "$(id)", "'", "\"", "*", "", "\n", "-n", "ü"};
    Command command{.arguments = {"printf", "[%s]"}};
    command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
    std::string expected;
    for (const std::string& argument : arguments) {
        expected += '[' + argument + ']';
    }
    CHECK(run(command).output == expected);
}

TEST_CASE("environment: inherited or clean, with additions and removals; directory; input") {
    ::setenv("FAIRING_TEST_INHERITED", "yes", 1);
    const std::string script = "echo $FAIRING_TEST_INHERITED-$ADDED; pwd; cat";
    CHECK(run({.arguments = {"sh", "-c", script},
               .environment = {{"ADDED", "1"}},
               .directory = "/usr"},
              {.input = "in"})
              .output == "yes-1\n/usr\nin");
    CHECK(run({.arguments = {"sh", "-c", script},
               .directory = "/usr",
               .unset = {"FAIRING_TEST_INHERITED"}})
              .output == "-\n/usr\n");
    CHECK(run({.arguments = {"env"},
               .environment = {{"B", "2"}, {"A", "="}},
               .base = BaseEnvironment::clean})
              .output == "A==\nB=2\n");
    ::unsetenv("FAIRING_TEST_INHERITED");
}

TEST_CASE("input of any size reaches a program that reads it late") {
    const std::string input(std::size_t{3} << 20, 'x');
    const CommandResult result =
        run(shell("sleep 0.1; wc -c; test -t 0 || echo no terminal"), {.input = input});
    CHECK(result.output == "3145728\nno terminal\n");
    CHECK(run(shell("wc -c")).output == "0\n");
    CHECK(run(shell("exit 0"), {.input = input}).exit_code == 0);
}

TEST_CASE("a program that can not be started is an error that names it and says why") {
    try {
        Process{Command{.arguments = {"python4-that-is-not-there"}}};
        FAIL("it started");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::not_found);
        CHECK(
            std::string{error.what()} ==
            "cannot run python4-that-is-not-there: No such file or directory; install it, or give "
            "its path");
    }
    const TemporaryDirectory folder;
    const std::size_t before = support::open_descriptors();
    write_file(folder.path() / "plain", std::string_view{"text"}, 0644);
    write_file(folder.path() / "orphan", std::string_view{"#!/nowhere/python\n"}, 0755);
    write_file(folder.path() / "garbage", std::string_view{"\x01\x02\x03"}, 0755);
    const auto code_of = [](const Command& command) {
        try {
            Process{command};
        } catch (const Error& error) {
            CHECK(std::string{error.what()}.find(command.arguments.front()) != std::string::npos);
            return error.code();
        }
        return ErrorCode::internal;
    };
    CHECK(code_of({.arguments = {(folder.path() / "plain").string()}}) == ErrorCode::denied);
    CHECK(code_of({.arguments = {(folder.path() / "garbage").string()}}) == ErrorCode::unavailable);
    CHECK_THROWS_WITH_AS((Process{{.arguments = {(folder.path() / "orphan").string()}}}),
                         doctest::Contains("interpreter"), Error);
    CHECK_THROWS_WITH_AS((Process{{.arguments = {"sh"}, .directory = folder.path() / "none"}}),
                         doctest::Contains("none: No such file or directory"), Error);
    CHECK_THROWS_AS(Process{Command{}}, Error);
    CHECK(support::children().empty());
    CHECK(support::open_descriptors() == before);
}

TEST_CASE("both streams come in their order, with the last line that has no newline") {
    Lines output;
    Lines errors;
    Process process{
        shell("for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done; printf tail; printf end >&2")};
    process.follow([&](Stream stream, const std::string& line) {
        (stream == Stream::output ? output : errors).push_back(line);
    });
    CHECK(output == Lines{"o1", "o2", "o3", "o4", "o5", "tail"});
    CHECK(errors == Lines{"e1", "e2", "e3", "e4", "e5", "end"});
}

TEST_CASE("a line arrives when it is written, not at the end") {
    Process process{shell("echo first; read line < /dev/zero")};  // never ends by itself
    struct Seen {};
    CHECK_THROWS_AS(process.follow([](Stream, const std::string& line) {
        CHECK(line == "first");
        throw Seen{};
    }),
                    Seen);
}

TEST_CASE("100,000 lines come whole and quickly") {
    const std::clock_t start = std::clock();  // our own time, whatever else runs here
    std::size_t count = 0;
    Process process{Command{.arguments = {"seq", "1", "100000"}}};
    bool ordered = true;
    process.follow([&](Stream, const std::string& line) {
        ordered = ordered && line == std::to_string(++count);
    });
    CHECK(ordered);
    CHECK(count == 100000);
    CHECK((std::clock() - start) / CLOCKS_PER_SEC < 10);
}

TEST_CASE("a line of 3 MiB comes in pieces of 1 MiB") {
    const Lines lines = lines_of(shell("head -c 3145728 /dev/zero | tr '\\0' x; echo; echo next"));
    REQUIRE(lines.size() == 4);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(lines[i] == std::string(std::size_t{1} << 20, 'x'));
    }
    CHECK(lines[3] == "next");
}

TEST_CASE("a slow reader loses nothing after the program's end") {
    std::size_t bytes = 0;
    Process process{shell("head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2")};
    std::this_thread::sleep_for(200ms);
    bool first = true;
    process.read([&](Stream, std::span<const std::byte> part) {
        if (std::exchange(first, false)) {
            std::this_thread::sleep_for(1500ms);  // longer than strangers' streams are waited for
        }
        bytes += part.size();
    });
    CHECK(bytes == 120000);
}

TEST_CASE("the program sees standard signals, an empty mask and no descriptor of ours") {
    struct sigaction ignore {};
    struct sigaction before {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGUSR1, &ignore, &before);
    sigset_t blocked;
    sigset_t mask_before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR2);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &mask_before);
    const int leaked = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC, on purpose
    const CommandResult result =
        run(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/$$/fd; :"));
    ::close(leaked);
    ::pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
    ::sigaction(SIGUSR1, &before, nullptr);
    CHECK(result.output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n1\n2\n");
}

TEST_CASE("a stop leaves the program to its owner, and the owner's end ends it") {
    const std::string mark = unique_mark("stop");
    {
        Process process{shell("sleep 1000; :", {mark})};
        std::stop_source source;
        std::jthread later{[&source] {
            std::this_thread::sleep_for(100ms);
            source.request_stop();
        }};
        CHECK_THROWS_AS(process.wait(source.get_token()), Cancelled);
        // The shell alone; before its child is another program, that looks like the shell.
        CHECK(eventually([&] { return processes_with(mark).size() == 1; }));
    }
    CHECK(processes_with(mark).empty());
    CHECK(support::children().empty());
}

TEST_CASE("terminate: SIGTERM first, and the program may end by itself") {
    Process process{
        shell("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")};
    Lines lines;
    const ProcessEnd end = process.follow([&](Stream stream, const std::string& line) {
        if (line == "ready") {
            process.terminate(10min);
        }
        if (stream == Stream::output) {  // the shell may say on the other that its sleep was ended
            lines.push_back(line);
        }
    });
    CHECK(end.exit_code == 5);
    CHECK(lines == Lines{"ready", "bye"});
}

TEST_CASE("terminate: each descendant gets SIGTERM once, wherever it is") {
    // A child in a session of its own tells the signals; the grace gives it time to be told twice.
    const std::string counter = "trap 'echo told' TERM; echo ready; while :; do sleep 0.05; done";
    Process process{
        {.arguments = {"sh", "-c",
                       "trap : TERM; setsid sh -c \"$1\" & while :; do sleep 0.05; done", "sh",
                       counter}}};
    int told = 0;
    const ProcessEnd end = process.follow([&](Stream, const std::string& line) {
        if (line == "ready") {
            process.terminate(10min);
        } else if (line == "told") {
            ++told;
            process.terminate(500ms);  // tells nobody again
        }
    });
    CHECK(end.signal == SIGKILL);
    CHECK(told == 1);
}

TEST_CASE("terminate: what daemonizes and ignores SIGTERM is killed after the grace") {
    const std::string mark = unique_mark("daemon");
    // setsid --fork leaves the group and the session, and its parent ends: an orphan of another
    // session.
    const std::string script =
        "trap '' TERM; setsid --fork sh -c 'trap \"\" TERM HUP; echo orphan; while :; do sleep "
        "0.05; done' " +
        mark + " ; while :; do sleep 0.05; done";
    Process process{shell(script)};
    const ProcessEnd end = process.follow([&](Stream, const std::string& line) {
        CHECK(line == "orphan");
        CHECK(processes_with(mark).size() >= 1);
        process.terminate(300ms);
    });
    CHECK(end.signal == SIGKILL);
    CHECK(processes_with(mark).empty());
}

TEST_CASE("the program's end ends what it left in the background") {
    const std::string mark = unique_mark("background");
    const Lines lines =
        lines_of(shell("setsid sh -c 'sleep 1000; :' " + mark + " & echo done; exit 0"));
    CHECK(lines == Lines{"done"});
    CHECK(processes_with(mark).empty());
}

TEST_CASE("our own violent death takes every descendant along") {
    const std::string mark = unique_mark("parent");
    const std::string inner =
        "trap '' TERM HUP; setsid --fork sh -c 'trap \"\" TERM HUP; sleep 1000; :' " + mark +
        "; sleep 1000; :";
    const TemporaryDirectory folder;
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd reader{ends[0]};
    UniqueFd writer{ends[1]};
    const pid_t parent = ::fork();
    REQUIRE(parent >= 0);
    if (parent == 0) {
        try {
            Command command = shell(inner, {mark});
            command.if_we_die = {
                {"program-that-is-not-there"},
                {"touch", (folder.path() / "first").string()},
                {"cp", (folder.path() / "first").string(), (folder.path() / "second").string()}};
            Process process{command};
            [[maybe_unused]] const ssize_t put = ::write(writer.get(), "x", 1);
            process.wait();
        } catch (...) {
            // the test sees that nothing was written
        }
        ::_exit(1);
    }
    writer.reset();
    char started = 0;
    REQUIRE(::read(reader.get(), &started, 1) == 1);
    CHECK(eventually([&] { return processes_with(mark).size() >= 2; }));
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    CHECK(eventually([&] { return processes_with(mark).empty(); }));
    CHECK(eventually([&] { return std::filesystem::exists(folder.path() / "second"); }));
}

TEST_CASE("what is left to do in case of our death is not done while we live") {
    const TemporaryDirectory folder;
    Command command = shell("exit 0");
    command.if_we_die = {{"touch", (folder.path() / "file").string()}};
    CHECK(Process{command}.wait().exit_code == 0);
    { const Process killed{command}; }
    command.arguments = {"sleep", "1000"};
    { const Process killed{command}; }
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("the supervisor's death takes the program along and is not a success") {
    Process process{shell("echo $PPID; sleep 1000; :")};
    const ProcessEnd end = process.follow([](Stream, const std::string& line) {
        ::kill(static_cast<pid_t>(std::stol(line)), SIGKILL);
    });
    CHECK(end.exit_code == 137);
}

TEST_CASE("nothing is left: no descriptor, no child, no thread's work") {
    lines_of(shell("true"));
    const std::size_t before = support::open_descriptors();
    for (int i = 0; i < 50; ++i) {
        Process process{shell("echo x; sleep 0 &")};
        if (i % 2 == 0) {
            process.wait();
        }
    }
    CHECK(support::open_descriptors() == before);
    CHECK(support::children().empty());
}

TEST_CASE("many at once, from several threads, do not hold each other's pipes open") {
    std::atomic<int> good{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&good] {
                for (int i = 0; i < 10; ++i) {
                    const CommandResult result = run(shell("echo a; exit 2"), {.time_limit = 5min});
                    good += result.exit_code == 2 && result.output == "a\n" ? 1 : 0;
                }
            });
        }
    }
    CHECK(good == 40);
    CHECK(support::children().empty());
}

TEST_CASE("run: limits of time and output, and a stop, are errors that name the program") {
    const std::string mark = unique_mark("limits");
    CHECK_THROWS_WITH_AS(
        static_cast<void>(run(shell("sleep 1000; :", {mark}), {.time_limit = 100ms})),
        "cannot run sh: it did not end within 100 ms", Error);
    CHECK_THROWS_WITH_AS(
        static_cast<void>(run(shell("cat /dev/zero", {mark}), {.output_limit = 1000})),
        "cannot run sh: it wrote more than 1000 bytes", Error);
    std::stop_source source;
    source.request_stop();
    CHECK_THROWS_AS(static_cast<void>(run(shell("sleep 1000; :", {mark}), {}, source.get_token())),
                    Cancelled);
    CHECK(processes_with(mark).empty());
    const CommandResult result = run(shell("echo out; echo err >&2; exit 1"));
    CHECK(result.exit_code == 1);
    CHECK(result.output == "out\n");
    CHECK(result.errors == "err\n");
}
