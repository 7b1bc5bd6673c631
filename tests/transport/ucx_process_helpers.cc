#include "tests/transport/ucx_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "tests/transport/slot_arena.h"
#include "transport/ucx_fabric.h"

namespace baton::transport {
namespace {

constexpr const char* kVariable = "BATON_TEST_UCX_PEER";     // "id token | peer address peer_token transfer": what the child is
constexpr std::int64_t kFarAway = 60'000'000'000;

class Deaf : public FabricListener {
  void on_slots_landed(Transfer, const std::vector<std::uint32_t>&, const std::vector<std::uint64_t>&) override {}
  void on_slot_rejected(Transfer, std::uint32_t, RejectReason) override {}
  void on_transfer_failed(Transfer, const std::string&) override {}
  void on_sends_complete(Transfer, bool) override {}
  void on_peer_ready(PeerId) override {}
  void on_peer_failed(PeerId, const std::string&) override {}
};

// Grants peer 1 transfer 7 and, if told an address, sends it the first half of transfer 8; then waits to be killed.
[[noreturn]] void be_a_peer(const std::string& told) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::istringstream words(told);
  PeerId id = 0;
  std::uint64_t token = 0;
  std::uint64_t parent_token = 0;
  std::string parent;
  words >> id >> token >> parent >> parent_token;
  Deaf deaf;
  FabricOptions options;
  options.self = id;
  options.token = token;
  auto [fabric, why] = make_ucx_fabric(options, &deaf);
  if (!fabric) {
    std::fprintf(stderr, "peer: %s\n", why.c_str());
    _exit(1);
  }
  SlotArena granted(UcxProcess::kShape), source(UcxProcess::kShape);
  fabric->grant({7, 1, granted.all(), kFarAway});
  if (!parent.empty()) {
    fabric->connect(1, parent, parent_token);
    fabric->send(1, 8, source.to_send(0, UcxProcess::kShape.slots / 2));
  }
  std::printf("%s\n", fabric->address().c_str());
  std::fflush(stdout);
  for (;;) pause();
}

// A child runs this program again and becomes a peer before any test would run.
class PeerEnvironment : public testing::Environment {
  void SetUp() override {
    if (const char* told = std::getenv(kVariable)) be_a_peer(told);
  }
};

const testing::Environment* const kEnvironment = testing::AddGlobalTestEnvironment(new PeerEnvironment);

}  // namespace

UcxProcess::UcxProcess(PeerId id, std::uint64_t token, const std::string& parent, std::uint64_t parent_token) {
  int ends[2];
  if (pipe(ends) != 0) return;
  const std::string told = std::string(kVariable) + "=" + std::to_string(id) + " " + std::to_string(token) + " " + parent + " " +
                           std::to_string(parent_token);
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(const_cast<char*>(told.c_str()));
  environment.push_back(nullptr);
  const char* const arguments[] = {"peer", nullptr};
  pid_ = fork();
  if (pid_ == 0) {                                           // only what is safe after fork until exec
    dup2(ends[1], 1);
    execve("/proc/self/exe", const_cast<char**>(arguments), environment.data());
    _exit(127);
  }
  close(ends[1]);
  FILE* const out = fdopen(ends[0], "r");
  char line[256];
  while (fgets(line, sizeof line, out) != nullptr) {         // the test framework greets first
    if (std::strncmp(line, "127.0.0.1:", 10) == 0) {
      address_ = std::string(line, std::strcspn(line, "\n"));
      break;
    }
  }
  fclose(out);
}

UcxProcess::~UcxProcess() { signal(SIGKILL); }

void UcxProcess::signal(int number) {
  if (pid_ <= 0) return;
  ::kill(pid_, number);
  if (number != SIGKILL) return;
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace baton::transport
