#include "runtime/messages/membership.h"
#include "runtime/messages/request.h"

namespace baton {

const char* to_string(Role role) {
  switch (role) {
    case Role::gateway: return "gateway";
    case Role::scheduler: return "scheduler";
    case Role::prefill: return "prefill";
    case Role::decode: return "decode";
    case Role::mixed: return "mixed";
  }
  return "unknown";
}

const char* to_string(HandOffMode mode) {
  switch (mode) {
    case HandOffMode::local: return "local";
    case HandOffMode::pull: return "pull";
    case HandOffMode::push_by_layer: return "push_by_layer";
  }
  return "unknown";
}

}  // namespace baton
