// Fuzz target (libFuzzer) of kubeconfigs: two files, merged, and what their context says.
// Meson builds it as fuzz-NAME with -Dfuzz=true and clang; then, from the root of the tree:
//
//   BUILD/tests/fuzz-kubeconfig -max_len=4000 a_new_folder tests/fuzz/corpus/kubeconfig
//
// The first line of the input that is "===" parts the two. Files that they name are not read: such
// inputs are left out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fairing/kube/exec_plugin.hpp>
#include <fairing/kube/kubeconfig.hpp>
#include <string>
#include <string_view>
#include <vector>

using namespace fairing;

namespace {

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

bool names_files(std::string_view text) {
    for (const char* key : {"certificate-authority", "client-certificate", "client-key"}) {
        if (text.find(key) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

/// What is selected can be selected again from its minified form.
void check_selection(const Json& merged) {
    const kube::Cluster cluster = kube::select_cluster(merged);
    require(!cluster.server.empty() && !cluster.namespace_.empty() && !cluster.context.empty());
    require(cluster.token.empty() || cluster.token_file.empty());
    const kube::Cluster again = kube::select_cluster(kube::minify_kubeconfig(merged));
    require(again.server == cluster.server && again.context == cluster.context &&
            again.token.reveal() == cluster.token.reveal());
    if (cluster.exec) {
        require(!kube::exec_info(*cluster.exec).empty());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (names_files(text)) {
        return 0;
    }
    const std::size_t bar = text.find("\n===\n");
    try {
        std::vector<kube::KubeconfigFile> files;
        files.push_back({"/a/config", kube::parse_kubeconfig(text.substr(0, bar), "first")});
        if (bar != std::string_view::npos) {
            files.push_back({"/b/config", kube::parse_kubeconfig(text.substr(bar + 5), "second")});
        }
        const Json merged = kube::merge_kubeconfigs(files);
        require(kube::merge_kubeconfigs({{"/a/config", merged}}) == merged);
        check_selection(merged);
    } catch (const Error&) {
        return 0;
    }
    return 0;
}
