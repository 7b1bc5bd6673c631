#include "actors/gateway/api_error.h"

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

namespace baton::gateway {

unsigned http_status(const Error& error) {
  switch (error.code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::unsupported:
    case ErrorCode::context_length_exceeded: return 400;
    case ErrorCode::unknown_model:
    case ErrorCode::not_found: return 404;
    case ErrorCode::queue_full: return 429;
    case ErrorCode::deadline_exceeded: return 504;
    case ErrorCode::cancelled: return 499;
    case ErrorCode::internal: return 500;
    default: return 503;
  }
}

static const char* type_of(unsigned status) {
  switch (status) {
    case 400: return "invalid_request_error";
    case 404: return "not_found_error";
    case 405: return "invalid_request_error";
    case 413: return "invalid_request_error";
    case 429: return "rate_limit_error";
    case 503: return "service_unavailable_error";
    case 504: return "timeout_error";
    default: return "server_error";
  }
}

std::string excerpt(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return std::string(text.substr(0, most)) + "...";
}

Error unknown_model(std::string_view name, const std::string& served) {
  return Error{ErrorCode::unknown_model, Scope::request,
               fmt::format("the model {} is not served here; this server has {}", excerpt(name), served), "model"};
}

std::string error_json(const Error& error) {
  using nlohmann::json;
  const json body = {{"error",
                      {{"message", error.message},
                       {"type", type_of(http_status(error))},
                       {"param", error.parameter.empty() ? json(nullptr) : json(error.parameter)},
                       {"code", to_string(error.code)}}}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace baton::gateway
