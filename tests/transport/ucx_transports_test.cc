#include "transport/ucx_transports.h"

#include <gmock/gmock.h>

namespace baton::transport {
namespace {

using testing::Contains;
using testing::Field;

TEST(UcxTransports, hold_tcp_over_loopback) {
  EXPECT_THAT(ucx_transports(), Contains(testing::AllOf(Field(&UcxTransport::name, "tcp"), Field(&UcxTransport::devices, Contains("lo")))));
}

}  // namespace
}  // namespace baton::transport
