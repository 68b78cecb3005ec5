// fairing/preprocessors/runtime_shim.hpp - what stands for Kubeflow Fairing's Python package inside
// a job, so that its scripts run there unchanged.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "../packaging/context.hpp"
#include "payload.hpp"

namespace fairing::payload {

namespace detail {

/// Everything of `fairing` can be imported, called and decorated with, and does nothing.
inline constexpr std::string_view no_op_module =
    R"py(# What stands for fairing inside the job: everything can be imported and called, and nothing happens.
import importlib.abc
import importlib.machinery
import sys
import types


class Nothing:
    """Its attributes, items and results are itself."""

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments, **options):
        return self

    def __getitem__(self, key):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def __iter__(self):
        return iter(())

    def __bool__(self):
        return False

    def __mro_entries__(self, bases):
        return ()


class Config(Nothing):
    """fn() gives the function itself: called in the job, it does its work."""

    def fn(self, function):
        return function


class NoOpModule(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return config if name == "config" else Nothing()


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module below fairing."""

    def find_spec(self, name, path=None, target=None):
        if not name.startswith(("fairing.", "kubeflow.fairing.")):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return NoOpModule(spec.name)

    def exec_module(self, module):
        pass


config = Config()
if not any(isinstance(each, Finder) for each in sys.meta_path):
    sys.meta_path.insert(0, Finder())
sys.modules[__name__].__class__ = NoOpModule
)py";

inline constexpr std::string_view kubeflow_module =
    "# kubeflow.fairing is fairing.\nimport sys\n\nimport fairing\n\n"
    "sys.modules[__name__] = fairing\n";

}  // namespace detail

/// Whether a Python source imports fairing or kubeflow.fairing, in a line of its own.
[[nodiscard]] inline bool imports_fairing(std::string_view source) {
    constexpr std::array<std::string_view, 5> imports = {
        "import fairing", "from fairing", "import kubeflow.fairing", "from kubeflow.fairing",
        "from kubeflow import fairing"};
    while (!source.empty()) {
        std::string_view line = source.substr(0, source.find('\n'));
        source.remove_prefix(std::min(line.size() + 1, source.size()));
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        for (const std::string_view text : imports) {
            constexpr std::string_view ends = " \t.,;\r#";
            if (line.starts_with(text) &&
                (line.size() == text.size() || ends.find(line[text.size()]) != ends.npos)) {
                return true;
            }
        }
    }
    return false;
}

/// Puts a folder of the image in front of a list like PYTHONPATH.
inline void add_search_path(Context& context, const char* variable, const std::string& folder) {
    std::string& list = context.search_paths[variable];
    list = list.empty() ? folder : folder + ':' + list;
}

/// Adds the no-op module when `source` imports it.
inline void add_runtime_shim(Context& context, OwnFiles& own, std::string_view source,
                             const std::string& path_prefix) {
    if (imports_fairing(source)) {
        const std::string folder = own_folder(path_prefix) + "shim";
        own.add(folder + "/fairing/__init__.py", detail::no_op_module);
        own.add(folder + "/kubeflow/fairing/__init__.py", detail::kubeflow_module);
        add_search_path(context, "PYTHONPATH", folder);
    }
}

}  // namespace fairing::payload
