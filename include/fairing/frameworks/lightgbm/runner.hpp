// fairing/frameworks/lightgbm/runner.hpp - the program of ours in the job that runs LightGBM.
#pragma once

#include <string_view>

namespace fairing::lightgbm {

/// Reads lightgbm.json beside itself: "parameters", "machines", "fetch" and "store" (lists of
/// [from, to, optional]), "partitions" (for each rank "data" and its "fetch"), "program". Fetches
/// what is remote, finds the other machines, writes the configuration, runs the program, stores the
/// results, and ends with the program's exit code.
inline constexpr std::string_view runner =
    R"py(# Runs the command line of LightGBM: files of object stores, and the list of machines. Written by fairing.
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

PATIENCE = 600  # seconds until every machine has a name
NOTHING = "No URLs matched|matched no objects|NOT_FOUND|not found: 404"  # gsutil's words, gcloud's


def fail(sentence):
    print("lightgbm: " + sentence, file=sys.stderr, flush=True)
    sys.exit(65)


def call(command, **streams):
    try:
        return subprocess.run(command, **streams)
    except OSError as error:
        fail("cannot start %s: %s" % (command[0], error.strerror))


def tools(scheme):
    """The beginnings of the commands that copy, and that show a file."""
    if scheme == "s3":
        return ["aws", "s3", "cp", "--only-show-errors"], ["aws", "s3", "ls"]
    key = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if key:  # which Google's own tools do not read
        os.environ.setdefault("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", key)
    if shutil.which("gsutil") is None and shutil.which("gcloud"):
        return ["gcloud", "storage", "cp", "--quiet"], ["gcloud", "storage", "objects", "describe"]
    with_key = ["-o", "Credentials:gs_service_key_file=" + key] if key else []
    return ["gsutil", "-q"] + with_key + ["cp"], ["gsutil"] + with_key + ["stat"]


def is_there(url, showing):
    """Whether there is a file of this very name: aws shows all files and folders that begin so."""
    shown = call(showing + [url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = " ".join((shown.stdout + shown.stderr).decode(errors="replace").split())
    words = said.replace(url, "")
    if showing[0] == "aws":
        if shown.returncode in (0, 1):  # 1: there is nothing
            name = os.fsencode(url.rsplit("/", 1)[1])  # behind date, time and size
            return any(line.split(None, 3)[3:] == [name] for line in shown.stdout.splitlines())
    elif shown.returncode == 0:
        return True
    elif re.search(NOTHING, words) and "authorized" not in words:  # each failure ends with 1
        return False
    fail("cannot look for %s: %s" % (url, said or "%s ended with %d" % (showing[0], shown.returncode)))


def copy(source, target, optional=False):
    copying, showing = tools((source if "://" in source else target).split("://")[0])
    if optional and not is_there(source, showing):
        return
    if call(copying + [source, target]).returncode != 0:
        fail("cannot copy %s to %s" % (source, target))
    print("copied %s to %s" % (source, target), flush=True)


def cluster(machines):
    """The host and port of every machine in order, and the number of this one."""
    text = os.environ.get("CLUSTER_SPEC") or os.environ.get("TF_CONFIG")
    if not text:
        fail("%d machines are wanted, and neither TF_CONFIG nor CLUSTER_SPEC names them" % machines)
    spec = json.loads(text)
    hosts, rank = [], None
    task = spec.get("task") or {}
    for role in ("chief", "master", "worker", "ps", "evaluator"):
        members = spec["cluster"].get(role, [])
        if role == task.get("type"):
            rank = len(hosts) + int(task["index"])
        hosts += [member.rsplit(":", 1) for member in members]
    if len(hosts) != machines:
        fail("%d machines are wanted, and %d are there" % (machines, len(hosts)))
    if rank is None:
        names = [host for host, _ in hosts]
        own = socket.gethostname()
        if own not in names:
            names, own = [address(host) for host in names], address(own)
        if own not in names:
            fail("this machine, %s, is not one of %s" % (socket.gethostname(), ", ".join(names)))
        rank = names.index(own)
    return hosts, rank


def address(host):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
        except OSError as error:
            if time.monotonic() > end:
                fail("machine %s has no address: %s" % (host, error))
            time.sleep(1)


def main():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "lightgbm.json")) as file:
        plan = json.load(file)
    parameters, fetch = plan["parameters"], plan["fetch"]
    if plan["machines"] > 1:
        hosts, rank = cluster(plan["machines"])
        with open("machines.txt", "w") as file:
            file.writelines("%s %s\n" % (address(host), port) for host, port in hosts)
        parameters["machine_list_filename"] = "machines.txt"
        parameters["local_listen_port"] = hosts[rank][1]
        print("machine %d of %d" % (rank, len(hosts)), flush=True)
        if plan["partitions"]:
            parameters["data"] = plan["partitions"][rank]["data"]
            fetch = fetch + plan["partitions"][rank]["fetch"]
    for each in fetch:
        copy(*each)
    with open("lightgbm.conf", "w") as file:
        file.writelines("%s=%s\n" % pair for pair in sorted(parameters.items()))
    code = call([plan["program"], "config=lightgbm.conf"]).returncode
    if code != 0:
        sys.exit(code if code > 0 else 128 - code)
    if plan["machines"] == 1 or rank == 0:
        for each in plan["store"]:
            copy(*each)


main()
)py";

}  // namespace fairing::lightgbm
