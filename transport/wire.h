// What fabrics say to each other: three kinds of active message, msgpack in the header, the slots' bytes as payload.
//
//   sender                                  receiver (the one that listens)
//     ── hello: version, self, token ──────►  admits, or refuses with a reason and closes
//     ◄── welcome: self, largest piece ────
//     ── piece: transfer, slots, digests ──►  any number, once admitted
//
// Decoding takes any bytes: what is not exactly one message of the kind gives nullopt. It never throws and allocates at most a
// few kilobytes, whatever lengths the bytes claim.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "transport/fabric.h"

namespace baton::transport {

constexpr std::uint32_t kWireVersion = 1;
constexpr std::size_t kMaxSlotsPerPiece = 256;       // keeps a piece's header well below one TCP segment of UCX
constexpr std::size_t kMaxWhyBytes = 200;

enum MessageKind : unsigned { kHello = 1, kWelcome = 2, kPiece = 3 };    // ids of active messages

struct Hello {
  std::uint32_t version = kWireVersion;
  PeerId self = 0;
  std::uint64_t token = 0;
  bool operator==(const Hello&) const = default;
};

struct Welcome {
  bool admitted = false;
  PeerId self = 0;                     // so that a sender notices when another process took over the address
  std::uint32_t max_piece_bytes = 0;   // size of the receiver's staging slots
  std::string why;                     // when not admitted; at most kMaxWhyBytes
  bool operator==(const Welcome&) const = default;
};

struct PieceSlot {
  std::uint32_t slot = 0;
  std::uint32_t offset = 0;            // in the packed slot; not 0 only for a later fragment of a slot larger than a piece
  std::uint32_t bytes = 0;
  std::uint32_t of = 0;                // bytes of the whole slot; equal to `bytes` unless this is a fragment
  std::uint64_t digest = 0;            // range_digest of these bytes
  bool operator==(const PieceSlot&) const = default;
};

struct PieceHeader {
  Transfer transfer = 0;
  std::uint64_t piece = 0;             // counts the pieces of one sender, from 1
  bool digests = true;                 // false: the sender was told not to compute them
  std::vector<PieceSlot> slots;        // 1 to kMaxSlotsPerPiece; the payload is their bytes, in this order
  std::size_t payload_bytes() const;
  bool operator==(const PieceHeader&) const = default;
};

std::string encode(const Hello& message);
std::string encode(const Welcome& message);
std::string encode(const PieceHeader& message);

std::optional<Hello> decode_hello(std::span<const std::byte> bytes);
std::optional<Welcome> decode_welcome(std::span<const std::byte> bytes);
std::optional<PieceHeader> decode_piece(std::span<const std::byte> bytes);

}  // namespace baton::transport
