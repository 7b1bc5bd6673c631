#include "tests/actors/gateway/gateway_helpers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace baton::gateway {

namespace {

const char* kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
constexpr int kPatienceMs = 10000;

class ChatModel : public LoadedModel {
 public:
  const ModelSpec& spec() const override { return spec_; }
  const TensorView& embedding() const override { return none_; }
  const TensorView& output_norm() const override { return none_; }
  const TensorView& output() const override { return none_; }
  const LayerTensors& layer(std::uint32_t) const override { return layer_; }
  const VocabularySource& vocabulary() const override { return vocabulary_; }
  const std::string& chat_template() const override { return template_; }
  std::uint64_t fingerprint() const override { return 7; }

 private:
  ModelSpec spec_;
  TensorView none_;
  LayerTensors layer_;
  VocabularySource vocabulary_;
  std::string template_ = kChatMl;
};

}  // namespace

std::vector<TokenId> ByteTokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool start = text.substr(i, 12) == "<|im_start|>", end = text.substr(i, 10) == "<|im_end|>";
    if (options.parse_special && (start || end)) {
      tokens.push_back(start ? kStart : kEnd);
      i += start ? 11 : 9;
    } else {
      tokens.push_back(static_cast<unsigned char>(text[i]));
    }
  }
  return tokens;
}

std::optional<std::string> ByteTokenizer::bytes_of(TokenId token, bool spell_special) const {
  if (token < 0 || token > kText) return std::nullopt;
  if (token < 256) return std::string(1, static_cast<char>(token));
  static const char* const kNames[] = {"<|im_start|>", "<|im_end|>", "<|endoftext|>"};
  return spell_special ? std::string(kNames[token - 256]) : std::string();
}

std::optional<TokenId> ByteTokenizer::special(std::string_view spelling) const {
  if (spelling == "<|im_start|>") return kStart;
  if (spelling == "<|im_end|>") return kEnd;
  if (spelling == "<|endoftext|>") return kText;
  return std::nullopt;
}

RequestId ScriptedBackend::next_request_id() {
  const std::scoped_lock lock(mutex_);
  return {++next_ * kChoiceStride};
}

void ScriptedBackend::submit(RequestSpec spec, std::shared_ptr<RequestSink> sink) {
  {
    const std::scoped_lock lock(mutex_);
    submitted_.push_back(spec);
  }
  if (script) return script(spec, std::move(sink));
  for (const char letter : std::string("Hi!")) sink->on_token(token_event(0, letter, letter == '!' ? "length" : ""));
  sink->on_outcome(good_outcome(static_cast<std::uint32_t>(spec.prompt.size()), 3));
}

void ScriptedBackend::cancel(RequestId request) {
  const std::scoped_lock lock(mutex_);
  cancelled_.push_back(request);
}

void ScriptedBackend::cluster(std::function<void(ClusterView)> done) {
  ClusterView view;
  NodeView node;
  node.hello.name = "decode-0";
  node.hello.role = Role::decode;
  node.hello.pid = 42;
  node.hello.control_address = "127.0.0.1:7";
  node.state = "ready";
  node.stats.transport = "ucx";
  node.stats.kv_bytes_received = 23040;
  node.stats.load.blocks_total = 8;
  node.stats.load.blocks_used = 2;
  view.nodes.push_back(node);
  done(view);
}

std::vector<RequestSpec> ScriptedBackend::submitted() const {
  const std::scoped_lock lock(mutex_);
  return submitted_;
}

std::vector<RequestId> ScriptedBackend::cancelled() const {
  const std::scoped_lock lock(mutex_);
  return cancelled_;
}

struct HeldRequests::Sinks {
  std::mutex mutex;
  std::vector<std::shared_ptr<RequestSink>> held;      // guarded
};

HeldRequests::HeldRequests(ScriptedBackend& backend) : sinks_(std::make_shared<Sinks>()) {
  backend.script = [sinks = sinks_](const RequestSpec&, std::shared_ptr<RequestSink> sink) {
    const std::scoped_lock lock(sinks->mutex);
    sinks->held.push_back(std::move(sink));
  };
}

std::vector<std::shared_ptr<RequestSink>> HeldRequests::all() const {
  const std::scoped_lock lock(sinks_->mutex);
  return sinks_->held;
}

EmitToken token_event(std::uint32_t choice, char letter, std::string finish) {
  EmitToken event;
  event.choice = choice;
  event.text = std::string(1, letter);
  ScoredToken token;
  token.chosen = {static_cast<unsigned char>(letter), -0.5f, 1};
  token.top = {token.chosen, {'z', -1.5f, 2}};
  event.tokens = {token};
  event.finish_reason = std::move(finish);
  return event;
}

RequestOutcome good_outcome(std::uint32_t prompt, std::uint32_t completion) {
  RequestOutcome outcome;
  outcome.prompt_tokens = prompt;
  outcome.completion_tokens = completion;
  return outcome;
}

RequestOutcome bad_outcome(ErrorCode code, std::string message, std::uint32_t retry_after_s) {
  RequestOutcome outcome;
  outcome.error = Error{code, Scope::cluster, std::move(message), "", retry_after_s};
  return outcome;
}

Client::Client(std::uint16_t port) {
  socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return;
  close();
  throw std::runtime_error("connect");
}

Client::~Client() { close(); }

void Client::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void Client::send(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;                        // the server has closed: read() will tell
    sent += static_cast<std::size_t>(n);
  }
}

void Client::post(const std::string& path, const std::string& body, const std::string& headers) {
  send("POST " + path + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" + headers +
       "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

bool Client::fill() {
  pollfd wait{socket_, POLLIN, 0};
  if (::poll(&wait, 1, kPatienceMs) <= 0) return false;
  char bytes[65536];
  const auto n = ::recv(socket_, bytes, sizeof bytes, 0);
  if (n <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(n));
  return true;
}

std::string Client::read_until(const std::string& text) {
  while (buffer_.find(text) == std::string::npos && fill()) {
  }
  return buffer_;
}

bool Client::closed_by_server() {
  while (fill()) {
  }
  char byte;
  return ::recv(socket_, &byte, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

Reply Client::read(bool head) {
  Reply reply;
  std::size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return reply;
  }
  const std::string top = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  reply.status = static_cast<unsigned>(std::stoi(top.substr(9, 3)));
  for (std::size_t at = top.find("\r\n") + 2; at < top.size();) {
    const std::size_t stop = top.find("\r\n", at), colon = top.find(": ", at);
    std::string name = top.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    reply.headers[name] = top.substr(colon + 2, stop - colon - 2);
    at = stop + 2;
  }
  if (head) return reply.complete = true, reply;
  if (reply.headers.contains("content-length")) {
    const std::size_t length = std::stoul(reply.headers["content-length"]);
    while (buffer_.size() < length && fill()) {
    }
    reply.complete = buffer_.size() >= length;
    reply.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return reply;
  }
  for (;;) {
    std::size_t line;
    while ((line = buffer_.find("\r\n")) == std::string::npos) {
      if (!fill()) return reply;
    }
    const std::size_t size = std::stoul(buffer_.substr(0, line), nullptr, 16);
    while (buffer_.size() < line + 2 + size + 2) {
      if (!fill()) return reply;
    }
    const std::string chunk = buffer_.substr(line + 2, size);
    buffer_.erase(0, line + 2 + size + 2);
    if (size == 0) return reply.complete = true, reply;
    reply.body += chunk;
    for (std::size_t at = 0, stop; (stop = chunk.find("\n\n", at)) != std::string::npos; at = stop + 2) {
      reply.events.push_back(chunk.substr(at + 6, stop - at - 6));
    }
  }
}

GatewayTest::GatewayTest(std::function<void(HttpOptions&)> change) : backend_(std::make_shared<ScriptedBackend>()) {
  HttpOptions options;
  options.port = 0;
  options.model_id = "tiny";
  options.model_aliases = {"alias"};
  options.model_path = "/srv/models/tiny";
  options.max_model_len = 64;
  if (change) change(options);
  server_ = std::make_unique<HttpServer>(options, backend_, std::make_shared<ChatModel>(), std::make_shared<ByteTokenizer>());
  const Status started = server_->start();
  if (!started.ok()) throw std::runtime_error(started.error().message);
}

bool GatewayTest::refuses_connections() {
  try {
    client();
    return false;
  } catch (const std::runtime_error&) {
    return true;
  }
}

Reply GatewayTest::post(const std::string& path, const std::string& body) {
  Client connection = client();
  connection.post(path, body);
  return connection.read();
}

Reply GatewayTest::get(const std::string& path) {
  Client connection = client();
  connection.send("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n");
  return connection.read();
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    ::poll(nullptr, 0, 5);
  }
  return false;
}

}  // namespace baton::gateway
