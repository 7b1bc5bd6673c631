#include "actors/cli/simulate_flags.h"
#include "actors/cli/verbs.h"

namespace baton::cli {

int simulate_splitwise(const SimulateFlags&) {
  return report({ErrorCode::unsupported, Scope::request, "not there"});
}

}  // namespace baton::cli
