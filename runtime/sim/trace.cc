#include "runtime/sim/trace.h"

namespace baton::sim {

Result<Trace> load_trace(const std::string& path) { return Error{ErrorCode::io_error, Scope::request, path}; }

}  // namespace baton::sim
