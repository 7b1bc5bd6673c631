// Two processes, one core each, move slots over loopback TCP. One line per round:
//
//   bench_fabric [--piece BYTES] [--slot BYTES] [--total BYTES] [--one-buffer] [--no-digest] [--sleep] [--rounds N]
//   round GB/s sender_cpu_s receiver_cpu_s
//
// --one-buffer sends from and lands in one slot's memory over and over, as ucx_perftest does; otherwise every slot is memory of its
// own, in random order, as KV blocks are. tests/bench/fabric.sh runs it beside ucx_perftest and prints the ratios.
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/bench/machine.h"
#include "transport/ucx_fabric.h"

namespace baton::transport {
namespace {

struct Settings {
  std::uint32_t piece = 1 << 20;
  std::uint32_t slot = 1 << 20;
  std::size_t total = 256u << 20;
  bool one_buffer = false;
  bool digests = true;
  bool spin = true;
  int rounds = 5;
  std::uint32_t slots() const { return static_cast<std::uint32_t>(total / slot); }
};

Settings parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--one-buffer") { settings.one_buffer = true; continue; }
    if (name == "--no-digest") { settings.digests = false; continue; }
    if (name == "--sleep") { settings.spin = false; continue; }
    const long long value = i + 1 < argc ? std::atoll(argv[++i]) : 0;
    if (name == "--piece") settings.piece = value;
    if (name == "--slot") settings.slot = value;
    if (name == "--total") settings.total = value;
    if (name == "--rounds") settings.rounds = value;
  }
  return settings;
}

// Slots of one side: their memory touched, so that no page fault is measured.
class Slots {
 public:
  Slots(const Settings& settings, std::uint64_t seed) : settings_(settings) {
    const std::uint32_t places = settings.one_buffer ? 1 : settings.slots();
    bytes_.resize(std::size_t{places} * settings.slot);
    std::mt19937_64 random(seed);
    for (std::size_t i = 0; i + 8 <= bytes_.size(); i += 8) {
      const std::uint64_t word = random();
      std::memcpy(&bytes_[i], &word, 8);
    }
    for (std::uint32_t i = 0; i < settings.slots(); ++i) order_.push_back(i % places);
    std::shuffle(order_.begin(), order_.end(), random);
  }
  std::vector<SlotMemory> memory() {
    std::vector<SlotMemory> slots;
    for (std::uint32_t i = 0; i < settings_.slots(); ++i) {
      slots.push_back({bytes_.data() + std::size_t{order_[i]} * settings_.slot, settings_.slot, settings_.slot, 1, i});
    }
    return slots;
  }

 private:
  const Settings settings_;
  std::vector<std::byte> bytes_;
  std::vector<std::uint32_t> order_;
};

// Tells the other process by one byte on a pipe when a round is over, and says so when one fails.
class Bell : public FabricListener {
 public:
  Bell(int pipe, std::uint32_t slots) : pipe_(pipe), slots_(slots) {}
  void on_slots_landed(Transfer, const std::vector<std::uint32_t>& slots, const std::vector<std::uint64_t>&) override {
    landed_ += slots.size();
    if (landed_ % slots_ == 0) ring();
  }
  void on_slot_rejected(Transfer, std::uint32_t, RejectReason reason) override { fail(to_string(reason)); }
  void on_transfer_failed(Transfer, const std::string& why) override { fail(why); }
  void on_sends_complete(Transfer, bool failed) override {
    if (failed) fail("sends failed");
    ring();
  }
  void on_peer_ready(PeerId) override {}
  void on_peer_failed(PeerId, const std::string& why) override {
    if (!done) fail(why);
  }
  bool done = false;

 private:
  void ring() {
    if (write(pipe_, "x", 1) != 1) _exit(1);
  }
  [[noreturn]] void fail(const std::string& why) {
    std::fprintf(stderr, "bench_fabric: %s\n", why.c_str());
    _exit(1);
  }
  const int pipe_;
  const std::uint32_t slots_;
  std::size_t landed_ = 0;
};

struct Pipe {
  int ends[2];
  Pipe() {
    if (pipe(ends) != 0) std::abort();
  }
  template <class T>
  void put(const T& value) const {
    if (write(ends[1], &value, sizeof value) != sizeof value) _exit(1);
  }
  template <class T>
  T get() const {
    T value;
    if (read(ends[0], &value, sizeof value) != sizeof value) _exit(1);
    return value;
  }
};

double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

FabricOptions options_of(const Settings& settings, PeerId self) {
  FabricOptions options;
  options.self = self;
  options.token = 5;
  options.piece_bytes = settings.piece;
  options.verify = settings.digests;
  options.spin_ns = settings.spin ? 1'000'000'000 : 0;
  return options;
}

struct Ports {
  Pipe address, granted, landed, go, cpu;
};
constexpr std::size_t kAddressBytes = 64;
using AddressText = std::array<char, kAddressBytes>;

void receive(const Settings& settings, Ports& ports) {
  bench::pin_to_core(0);
  Bell bell(ports.landed.ends[1], settings.slots());
  auto [fabric, why] = make_ucx_fabric(options_of(settings, 2), &bell);
  if (!fabric) std::fprintf(stderr, "bench_fabric: %s\n", why.c_str()), _exit(1);
  Slots slots(settings, 2);
  AddressText address{};
  std::strncpy(address.data(), fabric->address().c_str(), address.size() - 1);
  ports.address.put(address);
  for (int round = 0; round <= settings.rounds; ++round) {
    fabric->grant({100u + round, 1, slots.memory(), 600'000'000'000});
    const double cpu = cpu_seconds();
    ports.granted.put('g');
    ports.go.get<char>();
    ports.cpu.put(cpu_seconds() - cpu);
  }
  bell.done = true;
}

void send(const Settings& settings, Ports& ports) {
  bench::pin_to_core(1);
  Pipe complete;
  Bell bell(complete.ends[1], settings.slots());
  auto [fabric, why] = make_ucx_fabric(options_of(settings, 1), &bell);
  if (!fabric) std::fprintf(stderr, "bench_fabric: %s\n", why.c_str()), _exit(1);
  Slots slots(settings, 1);
  fabric->connect(2, ports.address.get<AddressText>().data(), 5);
  for (int round = 0; round <= settings.rounds; ++round) {
    std::vector<SlotToSend> to_send;
    for (const SlotMemory& memory : slots.memory()) to_send.push_back({static_cast<std::uint32_t>(to_send.size()), memory});
    ports.granted.get<char>();
    const double cpu = cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    fabric->send(2, 100 + round, std::move(to_send));
    fabric->close_sends(100 + round);
    ports.landed.get<char>();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    complete.get<char>();
    const double mine = cpu_seconds() - cpu;
    ports.go.put('g');
    const double theirs = ports.cpu.get<double>();
    if (round == 0) continue;                                // warms up
    std::printf("%d %.3f %.4f %.4f\n", round, settings.slots() * double{1} * settings.slot / seconds / 1e9, mine, theirs);
    std::fflush(stdout);
  }
  bell.done = true;
}

}  // namespace
}  // namespace baton::transport

int main(int argc, char** argv) {
  using namespace baton::transport;
  const Settings settings = parse(argc, argv);
  Ports ports;
  const pid_t child = fork();                                // before UCX is used
  if (child == 0) {
    receive(settings, ports);
    return 0;
  }
  send(settings, ports);
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}
