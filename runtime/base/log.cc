#include "runtime/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>

#include "runtime/base/check.h"

namespace baton {

void start_log(std::string_view name, std::string_view level) {
  CHECK(std::find(std::begin(kLogLevels), std::end(kLogLevels), level) != std::end(kLogLevels), "no log level is called {}", level);
  auto logger = std::make_shared<spdlog::logger>(std::string{name}, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ [%n] %v");
  logger->set_level(spdlog::level::from_str(std::string{level}));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace baton
