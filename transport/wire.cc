#include "transport/wire.h"

#define MSGPACK_NO_BOOST
#include <cstring>
#include <msgpack.hpp>

namespace baton::transport {
namespace {

constexpr std::size_t kPackedSlotBytes = 24;         // slot, offset, bytes, of: u32 each; digest: u64; little-endian
constexpr std::size_t kMaxFields = 8;

void put_u32(char* to, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(value >> (8 * i));
}

std::uint32_t get_u32(const char* from) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= std::uint32_t{static_cast<unsigned char>(from[i])} << (8 * i);
  return value;
}

// Calls read(fields, count) with the elements of the one flat array that `bytes` must be. Strings and binaries are referenced in
// place; lengths beyond what a message may hold are refused before anything is allocated for them.
template <class T, class Read>
std::optional<T> decode_array(std::span<const std::byte> bytes, std::size_t fields, Read read) {
  try {
    const msgpack::unpack_limit limit(kMaxFields, 0, kMaxWhyBytes, kMaxSlotsPerPiece * kPackedSlotBytes, 0, 1);
    const auto by_reference = [](msgpack::type::object_type, std::size_t, void*) { return true; };
    std::size_t offset = 0;
    bool referenced = false;
    const msgpack::object_handle handle = msgpack::unpack(reinterpret_cast<const char*>(bytes.data()), bytes.size(), offset,
                                                          referenced, by_reference, nullptr, limit);
    const msgpack::object& object = handle.get();
    if (offset != bytes.size() || object.type != msgpack::type::ARRAY || object.via.array.size != fields) return std::nullopt;
    return read(object.via.array.ptr);
  } catch (const std::exception&) {    // msgpack reports every malformed input so
    return std::nullopt;
  }
}

template <class... Fields>
std::string encode_array(const Fields&... fields) {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer(buffer);
  packer.pack_array(sizeof...(fields));
  (packer.pack(fields), ...);
  return {buffer.data(), buffer.size()};
}

}  // namespace

std::size_t PieceHeader::payload_bytes() const {
  std::size_t sum = 0;
  for (const PieceSlot& slot : slots) sum += slot.bytes;
  return sum;
}

std::string encode(const Hello& message) { return encode_array(message.version, message.self, message.token); }

std::string encode(const Welcome& message) {
  return encode_array(message.admitted, message.self, message.max_piece_bytes, message.why.substr(0, kMaxWhyBytes));
}

std::string encode(const PieceHeader& message) {
  std::vector<char> table(message.slots.size() * kPackedSlotBytes);
  char* to = table.data();
  for (const PieceSlot& slot : message.slots) {
    put_u32(to, slot.slot);
    put_u32(to + 4, slot.offset);
    put_u32(to + 8, slot.bytes);
    put_u32(to + 12, slot.of);
    put_u32(to + 16, static_cast<std::uint32_t>(slot.digest));
    put_u32(to + 20, static_cast<std::uint32_t>(slot.digest >> 32));
    to += kPackedSlotBytes;
  }
  return encode_array(message.transfer, message.piece, message.digests, table);    // a vector of char packs as a binary
}

std::optional<Hello> decode_hello(std::span<const std::byte> bytes) {
  return decode_array<Hello>(bytes, 3, [](const msgpack::object* fields) {
    return Hello{fields[0].as<std::uint32_t>(), fields[1].as<PeerId>(), fields[2].as<std::uint64_t>()};
  });
}

std::optional<Welcome> decode_welcome(std::span<const std::byte> bytes) {
  return decode_array<Welcome>(bytes, 4, [](const msgpack::object* fields) {
    return Welcome{fields[0].as<bool>(), fields[1].as<PeerId>(), fields[2].as<std::uint32_t>(), fields[3].as<std::string>()};
  });
}

std::optional<PieceHeader> decode_piece(std::span<const std::byte> bytes) {
  return decode_array<PieceHeader>(bytes, 4, [](const msgpack::object* fields) -> std::optional<PieceHeader> {
    PieceHeader header{fields[0].as<Transfer>(), fields[1].as<std::uint64_t>(), fields[2].as<bool>(), {}};
    if (fields[3].type != msgpack::type::BIN) return std::nullopt;
    const std::size_t size = fields[3].via.bin.size;
    if (size == 0 || size % kPackedSlotBytes != 0) return std::nullopt;
    header.slots.resize(size / kPackedSlotBytes);
    const char* from = fields[3].via.bin.ptr;
    for (PieceSlot& slot : header.slots) {
      const std::uint64_t high = get_u32(from + 20);
      slot = {get_u32(from), get_u32(from + 4), get_u32(from + 8), get_u32(from + 12), high << 32 | get_u32(from + 16)};
      from += kPackedSlotBytes;
    }
    return header;
  });
}

}  // namespace baton::transport
