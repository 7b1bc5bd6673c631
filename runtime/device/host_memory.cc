#include "runtime/device/host_memory.h"

#include <unistd.h>

namespace baton {

bool exceeds_memory(std::size_t bytes) {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 && bytes / static_cast<std::size_t>(size) >= static_cast<std::size_t>(pages);
}

}  // namespace baton
