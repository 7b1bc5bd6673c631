// The HTTP side of a gateway: OpenAI's API, /tokenize, /health, /metrics, /cluster over HTTP/1.1 with keep-alive and server-sent
// events. One thread runs all connections; requests go to the cluster through a Backend, whose events come back to that thread.
//
// Limits are options: header and body size, connections, idle time, requests in flight. A client that goes away cancels its requests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/gateway/backend.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/config/cluster_config.h"
#include "runtime/model/loaded_model.h"
#include "runtime/text/tokenizer.h"

namespace baton::gateway {

struct HttpOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;                   // 0: any free one
  std::string model_id;                        // what /v1/models names
  std::vector<std::string> model_aliases;      // also accepted as `model`
  std::string model_path;                      // "root" of /v1/models
  std::string chat_template;                   // a name of chat_template.h; empty: recognised from the model
  std::uint32_t max_model_len = 0;             // tokens, prompt and output together; also bounded by the smallest KV pool
  std::size_t max_header_bytes = std::size_t{LimitsConfig{}.max_header_kib} << 10;
  std::size_t max_body_bytes = std::size_t{LimitsConfig{}.max_body_mib} << 20;
  std::uint32_t max_connections = LimitsConfig{}.max_connections;
  std::uint32_t max_requests = 1024;           // in flight; beyond it 429
  std::size_t max_unsent_bytes = 1 << 20;      // of a stream whose client does not read, and twice its longest event; beyond it the
                                               // client counts as gone
  Duration idle_timeout = LimitsConfig{}.idle_timeout;         // between requests of a connection
  Duration read_timeout = Milliseconds{15000};       // from a request's first byte to its last
  Duration write_timeout = Milliseconds{30000};      // without progress
  Duration request_deadline = LimitsConfig{}.request_deadline;
  Duration assign_deadline = LimitsConfig{}.assign_deadline;   // to find an instance, at first and after each failure
  std::uint32_t max_attempts = LimitsConfig{}.max_attempts;    // of a choice in a row without a token
  std::uint32_t max_choices = LimitsConfig{}.max_choices;      // n of a request
};

class HttpServer {
 public:
  HttpServer(HttpOptions options, std::shared_ptr<Backend> backend, std::shared_ptr<const LoadedModel> model,
             std::shared_ptr<const Tokenizer> tokenizer);
  ~HttpServer();                               // stops at once
  HttpServer(const HttpServer&) = delete;

  // Binds and serves. Errors: address_in_use, invalid_config (host, chat template), each saying what to do.
  Status start();
  std::uint16_t port() const;                  // after start()
  // No new requests; waits until those in flight ended or `limit` passed, then closes everything.
  void drain_and_stop(Duration limit);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton::gateway
