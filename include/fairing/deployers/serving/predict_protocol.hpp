// fairing/deployers/serving/predict_protocol.hpp - how model servers are asked: Seldon's protocol,
// and KServe's v1 and v2 (the Open Inference Protocol). Documents only, no I/O.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/error.hpp"
#include "../../core/json_text.hpp"
#include "../../kube/document.hpp"
#include "../../net/redact.hpp"
#include "../../net/status.hpp"
#include "../../net/url.hpp"
#include "../../stage/fields.hpp"

namespace fairing {

enum class PredictProtocol { seldon, v1, v2 };

template <>
inline constexpr auto value_names<PredictProtocol> =
    std::array<std::pair<std::string_view, PredictProtocol>, 3>{
        {{"seldon", PredictProtocol::seldon},
         {"v1", PredictProtocol::v1},
         {"v2", PredictProtocol::v2}}};

/// What is asked, and how. `subject` is for errors: "Deployment team/houses".
struct PredictTarget {
    PredictProtocol protocol = PredictProtocol::seldon;
    std::string model = "model";
    std::string subject = {};
};

/// The path below the server's root that takes predictions.
[[nodiscard]] inline std::string predict_path(const PredictTarget& target) {
    const std::string model = net::percent_encode(target.model);
    switch (target.protocol) {
        case PredictProtocol::v1:
            return "/v1/models/" + model + ":predict";
        case PredictProtocol::v2:
            return "/v2/models/" + model + "/infer";
        case PredictProtocol::seldon:
            break;
    }
    return "/predict";
}

/// "seldon", "v1", "v2".
[[nodiscard]] constexpr std::string_view protocol_name(PredictProtocol protocol) noexcept {
    for (const auto& [name, value] : value_names<PredictProtocol>) {
        if (value == protocol) {
            return name;
        }
    }
    return {};
}

namespace detail {

[[nodiscard]] inline Error bad_input(const PredictTarget& target, std::string answer,
                                     std::string advice = {}) {
    return Error{ErrorCode::input,
                 {.attempted = "ask",
                  .subject = target.subject,
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

/// The members by which a request of the protocol is known.
[[nodiscard]] inline std::vector<const char*> request_members(PredictProtocol protocol) {
    switch (protocol) {
        case PredictProtocol::v1:
            return {"instances", "inputs"};
        case PredictProtocol::v2:
            return {"inputs"};
        case PredictProtocol::seldon:
            break;
    }
    return {"data", "jsonData", "strData", "binData"};
}

/// The rows of a table, flat and in order, and its shape; both grow by what `value` holds. False
/// when it is not a box: rows of different lengths.
[[nodiscard]] inline bool flatten(const Json& value, std::size_t depth,
                                  std::vector<std::size_t>& shape, Json& flat) {
    if (!value.is_array()) {
        flat.push_back(value);
        return depth == shape.size();
    }
    if (depth == shape.size()) {
        if (!flat.empty()) {
            return false;  // a list where the rows before had a number
        }
        shape.push_back(value.size());
    }
    if (shape[depth] != value.size()) {
        return false;
    }
    for (const Json& each : value) {
        if (!flatten(each, depth + 1, shape, flat)) {
            return false;
        }
    }
    return true;
}

/// The tensor type of the Open Inference Protocol that holds all of `flat`; "" when none does.
[[nodiscard]] inline std::string datatype_of(const Json& flat) {
    bool is_whole = true, is_number = true, is_truth = true, is_text = true;
    for (const Json& value : flat) {
        is_whole = is_whole && value.is_number_integer();
        is_number = is_number && value.is_number();
        is_truth = is_truth && value.is_boolean();
        is_text = is_text && value.is_string();
    }
    return is_whole ? "INT64" : is_number ? "FP64" : is_truth ? "BOOL" : is_text ? "BYTES" : "";
}

/// Rows alone, in the form of the protocol.
[[nodiscard]] inline Json wrapped_rows(const PredictTarget& target, const Json& rows) {
    if (target.protocol == PredictProtocol::seldon) {
        return {{"data", {{"ndarray", rows}}}};
    }
    if (target.protocol == PredictProtocol::v1) {
        return {{"instances", rows}};
    }
    std::vector<std::size_t> shape;
    Json flat = Json::array();
    if (!flatten(rows, 0, shape, flat)) {
        throw bad_input(target, "the rows have different lengths, and a tensor of v2 is a box");
    }
    const std::string datatype = datatype_of(flat);
    if (datatype.empty() || flat.empty()) {
        throw bad_input(target, "the rows hold no values of one type, and a tensor of v2 does");
    }
    Json input{
        {"name", "input-0"}, {"shape", shape}, {"datatype", datatype}, {"data", std::move(flat)}};
    return {{"inputs", Json::array({std::move(input)})}};
}

/// Throws Error{input} when a tensor has not as many values as its shape says.
inline void check_tensor(const PredictTarget& target, const Json& tensor, const char* values) {
    if (!tensor.is_object() || !tensor.contains("shape") || !tensor.contains(values)) {
        return;  // the server knows what it lacks
    }
    std::uint64_t wanted = 1;
    for (const Json& size : tensor["shape"]) {
        if (!size.is_number_unsigned()) {
            throw bad_input(target, "the shape of a tensor is a list of whole numbers");
        }
        wanted *= size.get<std::uint64_t>();
    }
    std::vector<std::size_t> shape;
    Json flat = Json::array();
    if (!flatten(tensor[values], 0, shape, flat) || flat.size() != wanted) {
        throw bad_input(target, "a tensor of shape " + tensor["shape"].dump() + " has " +
                                    std::to_string(wanted) + " values, and " +
                                    std::to_string(flat.size()) + " are given");
    }
}

inline void check_tensors(const PredictTarget& target, const Json& body) {
    if (target.protocol == PredictProtocol::seldon) {
        check_tensor(target, kube::member(body, {"data", "tensor"}), "values");
    }
    for (const Json& input :
         target.protocol == PredictProtocol::v2 ? kube::list(body, {"inputs"}) : Json::array()) {
        check_tensor(target, input, "data");
    }
}

}  // namespace detail

/// The body of a request. An object is sent as it is: {"data": {"ndarray": …}} or {"data":
/// {"tensor": …}} of Seldon, {"instances": …} of v1, {"inputs": …} of v2. Rows alone, [[1, 37]],
/// get the form of the protocol. Throws Error{input} for an object of another protocol.
[[nodiscard]] inline Json predict_body(const PredictTarget& target, const Json& input) {
    if (input.is_array()) {
        return detail::wrapped_rows(target, input);
    }
    std::string members;
    for (const char* member : detail::request_members(target.protocol)) {
        if (input.is_object() && input.contains(member)) {
            detail::check_tensors(target, input);
            return input;
        }
        members += (members.empty() ? "\"" : ", \"") + std::string{member} + '"';
    }
    std::string advice = "or give rows alone: [[1, 37]]";
    for (const auto& [name, protocol] : value_names<PredictProtocol>) {
        for (const char* member : detail::request_members(protocol)) {
            if (input.is_object() && input.contains(member)) {
                advice = "this is a request of " + std::string{name} + "; use --protocol " +
                         std::string{name} + " if the server speaks that";
            }
        }
    }
    throw detail::bad_input(target,
                            "a request of " + std::string{protocol_name(target.protocol)} +
                                " is an object with " + members,
                            advice);
}

namespace detail {

/// Why a server, or the API server before it, refused: its own words, in the form of any of them.
[[nodiscard]] inline std::string refusal_words(const std::string& body) {
    const Json document = is_too_deep(body) ? Json() : Json::parse(body, nullptr, false);
    for (const std::string& words :
         {kube::text(document, {"error"}), kube::text(document, {"error", "message"}),
          kube::text(document, {"status", "info"}), kube::text(document, {"status", "reason"}),
          kube::text(document, {"message"}), kube::text(document, {"detail"})}) {
        if (!words.empty()) {
            return net::printable(words, 1000);
        }
    }
    return net::printable(body, 300);
}

/// What may help against this status.
[[nodiscard]] inline std::string predict_advice(const PredictTarget& target, int status) {
    switch (status) {
        case 404:
            return target.protocol == PredictProtocol::seldon
                       ? "see whether the server speaks another --protocol"
                       : "see whether --model-name " + target.model + " and --protocol " +
                             std::string{protocol_name(target.protocol)} + " are the server's";
        case 403:
            return "ask for the permission to create services/proxy, or send the request to the "
                   "URL from a place that reaches it";
        case 502:
        case 503:
            return "it is not ready; fairing status and fairing logs tell why";
        default:
            return {};
    }
}

}  // namespace detail

/// The answer's document. Throws Error: not_found for a model that the server does not have,
/// unavailable while it is not ready, input for what it does not understand, integrity for an
/// answer that is no JSON.
[[nodiscard]] inline Json parse_prediction(const PredictTarget& target, int status,
                                           const std::string& body) {
    const auto failure = [&](ErrorCode code, std::string answer, std::string advice) {
        return Error{code,
                     {.attempted = "get a prediction from",
                      .subject = target.subject,
                      .answer = std::move(answer),
                      .advice = std::move(advice),
                      .http_status = status}};
    };
    if (status < 200 || status > 299) {
        const std::string words = detail::refusal_words(body);
        throw failure(net::error_code(status),
                      net::status_text(status) + (words.empty() ? "" : ": " + words),
                      detail::predict_advice(target, status));
    }
    Json answer =
        is_too_deep(body) ? Json(Json::value_t::discarded) : Json::parse(body, nullptr, false);
    if (answer.is_discarded()) {
        throw failure(
            ErrorCode::integrity, "the answer is no JSON: " + net::printable(body, 200),
            "see whether the server speaks " + std::string{protocol_name(target.protocol)});
    }
    if (kube::text(answer, {"status", "status"}) == "FAILURE") {  // Seldon says so with a 200 too
        throw failure(ErrorCode::input, detail::refusal_words(body), {});
    }
    return answer;
}

}  // namespace fairing
