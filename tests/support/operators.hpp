// tests/support/operators.hpp - Kubeflow's operators beside the control plane of a test: their
// CRDs, their controllers (tools/kube-testenv build --operators), and their webhooks.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "child_process.hpp"
#include "fairing/codec/base64.hpp"
#include "kube_testenv.hpp"

namespace support {

class Operators {
public:
    /// Those of this program; nullptr, and the reason as a message, where there are none.
    static Operators* get(KubeTestenv& kube) {
        static std::string reason;
        static const std::unique_ptr<Operators> operators = make(kube, reason);
        if (!operators) {
            MESSAGE("skipped: " << reason);
        }
        return operators.get();
    }

    /// Of "training-operator", "mpi-operator" or "trainer": installed once, from the test data or
    /// from the Go modules. False, with a message, when there are none.
    bool install(const std::string& name) {
        const std::filesystem::path folder = crds(name);
        if (folder.empty()) {
            MESSAGE("skipped: there are no CRDs of " << name);
            return false;
        }
        if (installed_.contains(name)) {
            return true;
        }
        // MPIJobs of both versions are one CRD.
        const auto mpijobs =
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/mpijobs.kubeflow.org";
        if (name == "mpi-operator") {
            kube_.api().remove(mpijobs);
            REQUIRE(in_time([&] { return kube_.api().get(mpijobs).status == 404; }));
        }
        const ShellResult made = kube_.kubectl("create -f " + folder.string());
        REQUIRE_MESSAGE(made.exit_code == 0, made.output);
        // A CRD without any condition yet is an error of kubectl's.
        REQUIRE(in_time([&] {
            return kube_.kubectl("wait --for=condition=Established -f " + folder.string())
                       .exit_code == 0;
        }));
        installed_.insert(name);
        return true;
    }

    /// The controllers of the training operator, and its webhooks.
    void start_training() {
        if (training_) {
            return;
        }
        REQUIRE(install("training-operator"));
        const int port = fairing::test::free_port();
        const std::string pki = std::filesystem::path{kube_.ca()}.parent_path().string();
        training_ = launch("training",
                           {"-webhook-port", std::to_string(port), "-webhook-certificates", pki});
        REQUIRE(training_->listens(port));
        fairing::Json hooks = fairing::Json::array();
        for (const std::string kind :
             {"jaxjob", "paddlejob", "pytorchjob", "tfjob", "xgboostjob"}) {
            hooks.push_back(
                {{"name", "validator." + kind + ".training-operator.kubeflow.org"},
                 {"admissionReviewVersions", {"v1"}},
                 {"sideEffects", "None"},
                 {"failurePolicy", "Fail"},
                 {"clientConfig",
                  {{"url", "https://127.0.0.1:" + std::to_string(port) +
                               "/validate-kubeflow-org-v1-" + kind},
                   {"caBundle", fairing::codec::base64_encode(fairing::read_file(kube_.ca()))}}},
                 {"rules", fairing::Json::array({{{"apiGroups", {"kubeflow.org"}},
                                                  {"apiVersions", {"v1"}},
                                                  {"operations", {"CREATE", "UPDATE"}},
                                                  {"resources", {kind + 's'}}}})}});
        }
        REQUIRE(kube_.api()
                    .post("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
                          {{"metadata", {{"name", "validator.training-operator.kubeflow.org"}}},
                           {"webhooks", hooks}})
                    .ok());
    }
    /// The MPI operator in place of the training operator.
    void start_mpi() {
        if (mpi_) {
            return;
        }
        training_.reset();
        REQUIRE(install("mpi-operator"));
        mpi_ = launch("mpi", {"-mpi-v2beta1"});
    }

private:
    Operators(KubeTestenv& kube, std::filesystem::path folder)
        : kube_(kube), folder_(std::move(folder)) {}

    static std::unique_ptr<Operators> make(KubeTestenv& kube, std::string& reason) {
        const ShellResult found = run(*fairing::env("FAIRING_SOURCE_ROOT") +
                                      "/tools/kube-testenv where --operators 2>&1");
        reason = found.output;
        const std::string folder = found.output.substr(0, found.output.find('\n'));
        return found.exit_code == 0 ? std::unique_ptr<Operators>{new Operators{kube, folder}}
                                    : nullptr;
    }

    [[nodiscard]] std::filesystem::path crds(const std::string& name) const {
        const std::filesystem::path data{fairing::env("FAIRING_TEST_DATA", "") + "/crds"};
        if (std::filesystem::is_directory(data)) {
            for (const auto& entry : std::filesystem::directory_iterator{data}) {
                if (entry.path().filename().string().starts_with(name + "-v")) {
                    return entry.path();
                }
            }
        }
        const std::filesystem::path own = folder_ / "crds" / name;
        return std::filesystem::is_directory(own) ? own : std::filesystem::path{};
    }

    [[nodiscard]] std::unique_ptr<fairing::test::ChildProcess> launch(
        const std::string& name, const std::vector<std::string>& options) const {
        std::vector<std::string> command{(folder_ / "operators").string(), "-kubeconfig",
                                         kube_.kubeconfig()};
        command.insert(command.end(), options.begin(), options.end());
        return std::make_unique<fairing::test::ChildProcess>(
            command, (kube_.folder() / (name + "-operator.log")).string());
    }

    KubeTestenv& kube_;
    std::filesystem::path folder_;
    std::set<std::string> installed_ = {};
    std::unique_ptr<fairing::test::ChildProcess> training_ = {}, mpi_ = {};
};

}  // namespace support
