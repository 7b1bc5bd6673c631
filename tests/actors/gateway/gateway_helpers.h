// A server over a scripted backend, and a small blocking HTTP client that shows the bytes as they came.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "actors/gateway/http_server.h"

namespace baton::gateway {

// One token a byte, then three control tokens.
class ByteTokenizer : public Tokenizer {
 public:
  static constexpr TokenId kStart = 256, kEnd = 257, kText = 258;
  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override;
  std::optional<std::string> bytes_of(TokenId token, bool spell_special) const override;
  std::uint32_t vocabulary() const override { return 259; }
  bool is_special(TokenId token) const override { return token >= 256; }
  std::optional<TokenId> special(std::string_view spelling) const override;
  const std::vector<TokenId>& eos_tokens() const override { return eos_; }
  std::optional<TokenId> bos() const override { return std::nullopt; }

 private:
  std::vector<TokenId> eos_{kEnd};
};

// Calls `script` for every request; without one, answers with the tokens of "Hi!" and finish "length".
class ScriptedBackend : public Backend {
 public:
  using Script = std::function<void(const RequestSpec&, std::shared_ptr<RequestSink>)>;
  Script script;
  bool is_ready = true;

  InstanceRef self() const override { return {{1}, {2}}; }
  RequestId next_request_id() override;
  void submit(RequestSpec spec, std::shared_ptr<RequestSink> sink) override;
  void cancel(RequestId request) override;
  void cluster(std::function<void(ClusterView)> done) override;
  bool ready() const override { return is_ready; }

  std::vector<RequestSpec> submitted() const;
  std::vector<RequestId> cancelled() const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t next_ = 0;
  std::vector<RequestSpec> submitted_;
  std::vector<RequestId> cancelled_;
};

// Requests of the backend that get no answer but what the test gives their sinks.
class HeldRequests {
 public:
  explicit HeldRequests(ScriptedBackend& backend);
  std::vector<std::shared_ptr<RequestSink>> all() const;
  RequestSink& last() const { return *all().back(); }

 private:
  struct Sinks;
  std::shared_ptr<Sinks> sinks_;               // the script's, too
};

EmitToken token_event(std::uint32_t choice, char letter, std::string finish = "");
RequestOutcome good_outcome(std::uint32_t prompt, std::uint32_t completion);
RequestOutcome bad_outcome(ErrorCode code, std::string message, std::uint32_t retry_after_s = 0);

struct Reply {
  unsigned status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // chunks joined
  std::vector<std::string> events;             // of a stream, without "data: "
  bool complete = false;                       // content-length met, or the last chunk seen
};

class Client {
 public:
  explicit Client(std::uint16_t port);
  ~Client();
  void send(const std::string& bytes);
  void post(const std::string& path, const std::string& body, const std::string& headers = "");
  Reply read(bool head = false);               // the next answer; incomplete if the server closed
  bool closed_by_server();                     // within five seconds
  void close();
  std::string read_until(const std::string& text);

 private:
  bool fill();
  int socket_ = -1;
  std::string buffer_;
};

class GatewayTest {
 public:
  explicit GatewayTest(std::function<void(HttpOptions&)> change = {});
  ScriptedBackend& backend() { return *backend_; }
  HttpServer& server() { return *server_; }
  Client client() { return Client(server_->port()); }
  bool refuses_connections();                  // it listens no more
  Reply post(const std::string& path, const std::string& body);
  Reply get(const std::string& path);

 private:
  std::shared_ptr<ScriptedBackend> backend_;
  std::unique_ptr<HttpServer> server_;
};

// Polls until the condition holds; false after ten seconds.
bool eventually(const std::function<bool()>& condition);

}  // namespace baton::gateway
