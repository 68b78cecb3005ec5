#include "fairing/builders/context_sources/gcs.hpp"

#include <doctest/doctest.h>

#include "../../support/context_site.hpp"

using namespace fairing;
using support::answer;

TEST_CASE("GCS: the bucket is named as the project, and the pod has a key of its own") {
    support::ContextSite site;
    site.home.file(".config/gcloud/application_default_credentials.json",
                   R"({"type": "authorized_user", "client_id": "i", "client_secret": "s",
                       "refresh_token": "r", "quota_project_id": "proj"})");
    const std::string api = "https://storage.googleapis.com/storage/v1/b";
    site.script.expect("POST", "https://oauth2.googleapis.com/token",
                       answer(200, R"({"access_token": "tok", "expires_in": 3600})"));
    site.script.expect("GET", api + "/proj", answer(404));
    site.script.expect("POST", api + "?project=proj", answer(200));
    site.script.expect("POST", "", answer(200, "", {{"Location", "https://up.example/1"}}));
    site.script.expect("PUT", "https://up.example/1", answer(200));
    {
        const UploadedContext uploaded = site.upload(GcsContextSource{});
        CHECK(uploaded.url() == "gs://proj/fairing_builds/abc123");
        site.put("Secret", "user-gcp-sa");
        site.prepare(uploaded);
        CHECK(site.variable("GOOGLE_APPLICATION_CREDENTIALS") == "/etc/secrets/user-gcp-sa.json");
        site.script.expect("DELETE", api + "/proj/o/fairing_builds%2Fabc123", answer(204));
    }
    CHECK(site.script.complaint() == "");
}
