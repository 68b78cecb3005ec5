// fairing/pods/resources.hpp - what a pod may use: processors, memory, GPUs, as limits.
#pragma once

#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "../core/error.hpp"
#include "../stage/fields.hpp"
#include "mutator.hpp"

namespace fairing {

enum class GpuVendor { nvidia, amd };

struct Resources {
    std::optional<double> cpu = {};
    std::optional<double> memory_gb = {};  ///< 10⁹ bytes
    int gpu = 0;
    GpuVendor gpu_vendor = GpuVendor::nvidia;
};

template <>
inline constexpr auto value_names<GpuVendor> =
    std::array<std::pair<std::string_view, GpuVendor>, 2>{
        {{"nvidia", GpuVendor::nvidia}, {"amd", GpuVendor::amd}}};

template <>
inline constexpr auto fields<Resources> = std::tuple{
    field("cpu", &Resources::cpu, "processors that a pod may use: 2, 0.5"),
    field("memory_gb", &Resources::memory_gb, "memory that a pod may use, in GB", "memory"),
    field("gpu", &Resources::gpu, "GPUs of a pod"),
    field("gpu_vendor", &Resources::gpu_vendor, "whose GPUs"),
};

namespace detail {

inline void check_positive(const std::string& what, double value) {
    // The upper bound keeps the number exact, and no machine is larger.
    if (!(value > 0) || value > 1e9) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use " + what,
                     .subject = std::to_string(value),
                     .answer = "it is not a number above 0"}};
    }
}

/// "2", or "1500m": the way in which Kubernetes itself writes it.
[[nodiscard]] inline std::string cpu_quantity(double processors) {
    check_positive("cpu", processors);
    const auto milli = std::llround(std::ceil(processors * 1000 - 1e-6));
    return milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + 'm';
}

/// Fairing's rule: GB / 1.073741824, rounded to two places, in Gi.
[[nodiscard]] inline std::string memory_quantity(double gigabytes) {
    check_positive("memory", gigabytes);
    const auto hundredths = std::llround(gigabytes / 1.073741824 * 100);
    if (hundredths == 0) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use memory",
                     .subject = std::to_string(gigabytes) + " GB",
                     .answer = "it is less than 0.01 Gi",
                     .advice = "the unit is GB"}};
    }
    std::string text = std::to_string(hundredths / 100);
    if (const auto rest = hundredths % 100; rest != 0) {
        text += rest < 10 ? ".0" : ".";
        text += std::to_string(rest % 10 == 0 && rest >= 10 ? rest / 10 : rest);
    }
    return text + "Gi";
}

}  // namespace detail

/// Limits of the main container. What is not set is left as it is.
[[nodiscard]] inline PodSpecMutator resources(const Resources& wanted) {
    Json limits = Json::object();
    if (wanted.cpu) {
        limits["cpu"] = detail::cpu_quantity(*wanted.cpu);
    }
    if (wanted.memory_gb) {
        limits["memory"] = detail::memory_quantity(*wanted.memory_gb);
    }
    if (wanted.gpu < 0) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use gpu",
                     .subject = std::to_string(wanted.gpu),
                     .answer = "it is negative"}};
    }
    if (wanted.gpu > 0) {
        limits[wanted.gpu_vendor == GpuVendor::amd ? "amd.com/gpu" : "nvidia.com/gpu"] =
            std::to_string(wanted.gpu);
    }
    return [limits = std::move(limits)](PodSpec& pod, PodContext& /*context*/) {
        if (!limits.empty()) {
            pod.container()["resources"]["limits"].update(limits);
        }
    };
}

}  // namespace fairing
