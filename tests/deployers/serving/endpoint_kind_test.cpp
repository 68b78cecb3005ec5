#include "fairing/deployers/serving/endpoint_kind.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;

namespace {

Json service(const char* spec, const char* status = "{}") {
    Json object{{"metadata", {{"name", "s"}, {"namespace", "team"}}},
                {"spec", Json::parse(spec)},
                {"status", Json::parse(status)}};
    object["spec"]["ports"] = Json::array({{{"port", 5000}}});
    return object;
}

}  // namespace

TEST_CASE("a Service's type says where it is") {
    const kube::Client client{{.namespace_ = "team"}, {}, {}};
    const auto address = [&](const char* spec, const char* status = "{}") {
        return kubernetes::service_address(client, service(spec, status));
    };
    CHECK(address("{}").url() == "http://s.team.svc.cluster.local:5000");
    CHECK(address("{}").service_port == "5000");
    CHECK_FALSE(address("{}").is_public);
    const char* balanced = R"({"type": "LoadBalancer"})";
    CHECK(support::contains(address(balanced).missing, "has no address yet"));
    const auto at = [&](const char* ingress) { return address(balanced, ingress); };
    CHECK(at(R"({"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})").url() ==
          "http://203.0.113.7:5000");
    CHECK(at(R"({"loadBalancer": {"ingress": [{"ip": "2001:db8::7"}]}})").url() ==
          "http://[2001:db8::7]:5000");
    CHECK(at(R"({"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}})").url() ==
          "http://lb.example:5000");
    CHECK(at(R"({"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}})").is_public);
}
