// One node's view of the cluster file's nodes: whom to dial, whose hello to accept, who is there. Pure; every node's actor drives one.
//
//   the later of a pair in the cluster file dials the earlier, so that each pair has one connection and every start order works
//
//   dialler                                            dialled
//   Connect ─► Connected ─► SayHello ───── Hello ────► HelloArrived ─► AnswerHello + AdmitPeer, or RefuseHello + ReportRefused
//              HelloAnswered ─► AdmitPeer ◄─ Hello ────┘                          │
//              HelloRejected ─► PeerRefused ◄──────── HelloRefused ───────────────┘
//
//   state      starting ──► ready ──► down ──► ready ...      refused: said so by name on both sides, tried again slowly
//
// A link is one connection's worth of trust: what was sent over it may be lost when it ends, even if the peer lives on. So the same
// incarnation's second hello means LosePeer, then AdmitPeer. Every event names its link; those of an older link are ignored.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/time.h"
#include "runtime/messages/membership.h"

namespace baton {

using LinkId = std::uint64_t;                  // drawn by this node's core, never reused

struct ExpectedNode {
  std::string name;
  Role role = Role::mixed;
  std::string control_address;                 // host:port
};

struct MembershipOptions {
  Hello self;                                  // what this node says of itself; self.name is in `nodes`
  std::vector<ExpectedNode> nodes;             // of the cluster file, in its order
  Duration backoff_first = Milliseconds{50};   // between attempts to connect; doubles, with jitter
  Duration backoff_most = Milliseconds{500};
  Duration backoff_refused = Milliseconds{5000};   // after a refusal: the other side may be restarted with the right model
  Duration connect_deadline = Milliseconds{2000};  // of an attempt, and again of the hello's answer
};

// ---- events ----
struct StartMembership {};
struct Connected { std::string name; LinkId link = 0; };               // the answer to Connect: there is a handle
struct ConnectFailed { std::string name; LinkId link = 0; std::string reason; };
struct HelloArrived { Hello hello; };                                   // from a dialler; AnswerHello or RefuseHello is in the commands
struct HelloAnswered { std::string name; LinkId link = 0; Hello hello; };
struct HelloRejected { std::string name; LinkId link = 0; std::string reason; };   // the peer refused ours
struct LinkDown { std::string name; LinkId link = 0; std::string reason; };        // the connection ended (CAF's DOWN)
struct Goodbye { InstanceRef from; };                                   // the peer leaves, or holds our link for lost
struct MembershipTick {};                                               // the time of the last SetMembershipTimer, or later

// ---- commands ----
struct Connect { std::string name; std::string address; LinkId link = 0; };
struct SayHello { std::string name; LinkId link = 0; };                 // send options.self; its answer is HelloAnswered or HelloRejected
struct AnswerHello { std::string name; LinkId link = 0; };              // with options.self; watch the sender under this link
struct RefuseHello { std::string name; std::string reason; };           // answer HelloRefused
struct AdmitPeer { Hello hello; LinkId link = 0; };                     // it is there: messages may go to it
struct LosePeer { Hello hello; LinkId link = 0; std::string reason; };  // after an AdmitPeer: what it had from us is lost
struct ReportRefused { std::string name; std::string reason; };         // by us or by it; once per reason
struct SayGoodbye { std::string name; };                                // Goodbye{self.self} to its node, should it still hear us
struct CloseLink { std::string name; LinkId link = 0; };                // forget the handle; nothing more is said about this link
struct SetMembershipTimer { Instant at; };                              // replaces any earlier one

using MembershipCommand = std::variant<Connect, SayHello, AnswerHello, RefuseHello, AdmitPeer, LosePeer, ReportRefused, SayGoodbye,
                                       CloseLink, SetMembershipTimer>;
using MembershipCommands = std::vector<MembershipCommand>;

enum class PeerState : std::uint8_t { starting, ready, down, refused };
const char* to_string(PeerState state);

struct PeerView {
  std::string name;
  Role role = Role::mixed;
  std::string control_address;
  PeerState state = PeerState::starting;
  std::string reason;                          // of the last refusal, failure or loss
  Hello hello;                                 // the last accepted; empty before
};

// Does a node of role `a` talk to one of role `b`? All do but gateways or schedulers among themselves, and instances that never hand
// KV to each other.
bool needs(Role a, Role b);
// Why `theirs` cannot be worked with, in words that say what to do; empty: it can. Symmetric, so that both sides refuse.
std::string why_refused(const Hello& ours, const Hello& theirs);
// Can these instances together answer a request? A mixed one can, and a prefill and a decode instance that do not refuse each other.
bool can_serve(const std::vector<Hello>& instances);

class Membership {
 public:
  explicit Membership(MembershipOptions options);
  ~Membership();
  Membership(Membership&&) noexcept;

  MembershipCommands on(const StartMembership& event, Instant now);
  MembershipCommands on(const Connected& event, Instant now);
  MembershipCommands on(const ConnectFailed& event, Instant now);
  MembershipCommands on(const HelloArrived& event, Instant now);
  MembershipCommands on(const HelloAnswered& event, Instant now);
  MembershipCommands on(const HelloRejected& event, Instant now);
  MembershipCommands on(const LinkDown& event, Instant now);
  MembershipCommands on(const Goodbye& event, Instant now);
  MembershipCommands on(const MembershipTick& event, Instant now);

  std::vector<PeerView> peers() const;         // those this node talks to, in the file's order
  const Hello& self() const;
  void check_invariants() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton
