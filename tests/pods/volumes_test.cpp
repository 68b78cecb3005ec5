#include "fairing/pods/volumes.hpp"

#include <doctest/doctest.h>

#include "../support/mutated.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("claims, secrets and config maps are mounted, whole or in part") {
    support::Mutated one;
    one.apply(volume_mounts({.name = "datasets", .mount_path = "/mnt/data"}))
        .apply(volume_mounts({.type = VolumeType::secret, .name = "keys", .mount_path = "/keys"}))
        .apply(volume_mounts({.type = VolumeType::config_map,
                              .name = "settings",
                              .mount_path = "/etc/s.yaml",
                              .sub_path = "s.yaml"}));
    CHECK(one.pod.json()["volumes"] == Json::parse(R"([
        {"name": "fairing-volume-datasets", "persistentVolumeClaim": {"claimName": "datasets"}},
        {"name": "fairing-volume-keys", "secret": {"secretName": "keys"}},
        {"name": "fairing-volume-settings", "configMap": {"name": "settings"}}])"));
    CHECK(one.container()["volumeMounts"] == Json::parse(R"([
        {"name": "fairing-volume-datasets", "mountPath": "/mnt/data"},
        {"name": "fairing-volume-keys", "mountPath": "/keys"},
        {"name": "fairing-volume-settings", "mountPath": "/etc/s.yaml", "subPath": "s.yaml"}])"));
}

TEST_CASE("one object mounted twice has one volume; a claim and a secret of one name have two") {
    support::Mutated one;
    one.apply(volume_mounts({.name = "a", .mount_path = "/x", .sub_path = "x"}))
        .apply(volume_mounts({.name = "a", .mount_path = "/y", .sub_path = "y"}));
    CHECK(one.pod.json()["volumes"].size() == 1);
    CHECK(one.container()["volumeMounts"].size() == 2);
    one.apply(volume_mounts({.type = VolumeType::secret, .name = "a", .mount_path = "/z"}));
    CHECK(one.pod.json()["volumes"][1]["name"] == "fairing-volume-a-secret");
    CHECK(one.container()["volumeMounts"][2]["name"] == "fairing-volume-a-secret");
}

TEST_CASE("a volume's name is a DNS label whatever the object is called") {
    CHECK(fairing::detail::volume_name("my.data") == "fairing-volume-my-data");
    const std::string long_name = fairing::detail::volume_name(std::string(200, 'a'));
    CHECK(kube::is_dns_label(long_name));
    CHECK(long_name != fairing::detail::volume_name(std::string(201, 'a')));
}

TEST_CASE("the text of a volume") {
    const VolumeMount mount = Volume{"config_map:settings:/etc/s:sub/dir"}.mount();
    CHECK(mount.type == VolumeType::config_map);
    CHECK(mount.name == "settings");
    CHECK(mount.mount_path == "/etc/s");
    CHECK(mount.sub_path == "sub/dir");
    CHECK(Volume{"pvc:a:/b"}.mount().sub_path.empty());
    for (const char* bad : {"", "pvc", "pvc:a", "disk:a:/b", "pvc::/b", "pvc:a:b", "pvc:a:/b:c:d",
                            "pvc:A:/b", "pvc:a:/b:../c", "pvc:a:/b:/c", "secret:a\n:/b"}) {
        CAPTURE(bad);
        CHECK(
            support::contains(support::error_of([&] { (void)Volume{bad}; }), "cannot use volume"));
    }
    CHECK(support::contains(
        support::error_of([] { (void)volume_mounts({.name = "a", .mount_path = "b"}); }),
        "not an absolute path"));
}
