#include "actors/gateway/api_error.h"

#include <nlohmann/json.hpp>

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
