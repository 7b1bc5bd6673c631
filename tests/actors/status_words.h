// A Status as text, so that a test's failure says why: "" is ok.
#pragma once

#include <string>

#include "runtime/base/result.h"

namespace baton {

inline std::string words(const Status& status) { return status.ok() ? "" : status.error().message; }

}  // namespace baton
