#include "runtime/base/result.h"

namespace baton {

const char* to_string(Scope scope) {
  switch (scope) {
    case Scope::request: return "request";
    case Scope::transfer: return "transfer";
    case Scope::peer: return "peer";
    case Scope::instance: return "instance";
    case Scope::cluster: return "cluster";
  }
  return "unknown";
}

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::context_length_exceeded: return "context_length_exceeded";
    case ErrorCode::deadline_exceeded: return "deadline_exceeded";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::queue_full: return "queue_full";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::unknown_model: return "model_not_found";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::transfer_failed: return "transfer_failed";
    case ErrorCode::lease_ended: return "lease_ended";
    case ErrorCode::digest_mismatch: return "digest_mismatch";
    case ErrorCode::model_mismatch: return "model_mismatch";
    case ErrorCode::version_mismatch: return "version_mismatch";
    case ErrorCode::peer_unreachable: return "peer_unreachable";
    case ErrorCode::unauthorized: return "unauthorized";
    case ErrorCode::device_failed: return "device_failed";
    case ErrorCode::out_of_memory: return "out_of_memory";
    case ErrorCode::invalid_config: return "invalid_config";
    case ErrorCode::invalid_file: return "invalid_file";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::address_in_use: return "address_in_use";
    case ErrorCode::io_error: return "io_error";
    case ErrorCode::internal: return "internal_error";
  }
  return "unknown";
}

}  // namespace baton
