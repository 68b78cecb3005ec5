#include "fairing/oci/reference.hpp"

#include <doctest/doctest.h>

using fairing::oci::parse_reference;
using fairing::oci::ReferenceKind;

namespace {
const std::string digest = "sha256:" + std::string(64, 'a');
}

TEST_CASE("registry references: host, repository, tag, digest") {
    const auto full = parse_reference("registry.example:5000/team/job:v1@" + digest);
    CHECK(full.host == "registry.example:5000");
    CHECK(full.repository == "team/job");
    CHECK(full.tag == "v1");
    CHECK(full.digest == digest);
    CHECK(full.wanted() == digest);
    CHECK(full.text() == "registry.example:5000/team/job:v1@" + digest);

    const auto plain = parse_reference("localhost/x");
    CHECK(plain.host == "localhost");
    CHECK(plain.tag == "latest");
    CHECK(parse_reference("[::1]:5000/x:2").host == "[::1]:5000");
    CHECK(parse_reference("gcr.io/a__b/c-d.e").repository == "a__b/c-d.e");
}

TEST_CASE("Docker's short names") {
    CHECK(parse_reference("python:3.11").text() == "docker.io/library/python:3.11");
    CHECK(parse_reference("pytorch/pytorch:2.4.0").text() == "docker.io/pytorch/pytorch:2.4.0");
    CHECK(parse_reference("docker.io/python").text() == "docker.io/library/python:latest");
    CHECK(parse_reference("python").api_host() == "registry-1.docker.io");
}

TEST_CASE("layouts and scratch") {
    CHECK(parse_reference("scratch").kind == ReferenceKind::scratch);
    const auto layout = parse_reference("oci:/tmp/my image/dir:v2");
    CHECK(layout.kind == ReferenceKind::layout);
    CHECK(layout.repository == "/tmp/my image/dir");
    CHECK(layout.tag == "v2");
    CHECK(parse_reference("oci:build/image").wanted().empty());
    CHECK(parse_reference("oci:build@" + digest).digest == digest);
    CHECK(parse_reference("oci:dir").text() == "oci:dir");
}

TEST_CASE("archives: a path up to the first colon, and a name with a tag") {
    const auto archive = parse_reference("docker-archive:/tmp/my image.tar:team/job:v1");
    CHECK(archive.kind == ReferenceKind::archive);
    CHECK(archive.repository == "/tmp/my image.tar");
    CHECK(archive.wanted() == "team/job:v1");
    CHECK(archive.name() == "docker-archive:/tmp/my image.tar");
    CHECK(parse_reference("docker-archive:a.tar").wanted().empty());
    CHECK(parse_reference("docker-archive:a.tar:v1").tag == "v1");
    CHECK(parse_reference("docker-archive:a.tar@" + digest).digest == digest);
    CHECK(fairing::oci::is_local_reference("docker-archive:x"));
    CHECK_FALSE(fairing::oci::is_local_reference("docker-archive.example/x"));
}

TEST_CASE("what is no reference is refused, and control characters do not reach the message") {
    for (const char* wrong : {"",
                              "UPPER/case",
                              "a//b",
                              "/a",
                              "a/",
                              "x:",
                              "x@sha256:12",
                              "x@md5:00",
                              "host:99999/x",
                              "host:0/x",
                              "a/b:tag with space",
                              "a\nb",
                              "-host.example/x",
                              "[::1/x",
                              "oci:",
                              "docker-archive:",
                              "docker-archive::v1",
                              "docker-archive:x:a b",
                              "x/.y",
                              "x/y._z",
                              "a.b/c---",
                              "$(id)/x",
                              "a/b:--tag"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(static_cast<void>(parse_reference(wrong)), fairing::Error);
    }
    try {
        static_cast<void>(parse_reference("a\nb"));
    } catch (const fairing::Error& error) {
        CHECK(std::string{error.what()}.find('\n') == std::string::npos);
    }
    CHECK_THROWS_AS(static_cast<void>(parse_reference("h.example/" + std::string(256, 'a'))),
                    fairing::Error);
}
