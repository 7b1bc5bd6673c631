#include "actors/gateway/http_server.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include "actors/gateway/routes.h"
#include "actors/gateway/session.h"

namespace baton::gateway {

namespace asio = boost::asio;
using boost::system::error_code;

struct HttpServer::State {
  HttpOptions options;
  std::shared_ptr<Backend> backend;
  std::shared_ptr<const LoadedModel> model;
  std::shared_ptr<const Tokenizer> tokenizer;

  asio::io_context io{1};
  asio::ip::tcp::acceptor acceptor{io};
  std::uint16_t port = 0;
  GatewayMetrics metrics;
  CallContext context;
  std::unique_ptr<Routes> routes;
  std::set<std::shared_ptr<Session>> sessions;
  bool draining = false;
  std::mutex drained_mutex;
  std::condition_variable drained_changed;
  bool drained = false;
  std::thread thread;

  Status prepare();
  Status bind();
  void accept_next();
  void on_accept(error_code error, asio::ip::tcp::socket socket);
  void check_drained();
};

Status HttpServer::State::prepare() {
  auto chosen = choose_chat_template(model->chat_template(), options.chat_template, *tokenizer);
  if (!chosen.ok()) return chosen.error();
  context.chat_template = std::move(*chosen);
  context.backend = backend;
  context.tokenizer = tokenizer;
  context.metrics = &metrics;
  context.model_id = options.model_id;
  context.model_names = options.model_aliases;
  context.model_names.push_back(options.model_id);
  context.max_model_len = options.max_model_len;
  context.max_requests = options.max_requests;
  context.request_deadline = options.request_deadline;
  context.assign_deadline = options.assign_deadline;
  context.max_attempts = options.max_attempts;
  context.max_choices = options.max_choices;
  context.post = [this](std::function<void()> work) { asio::post(io, std::move(work)); };
  context.steady_ns = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };
  context.unix_s = [] {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  context.started_s = context.unix_s();
  context.fresh_seed = [source = std::make_shared<std::random_device>()] {
    return (std::uint64_t{(*source)()} << 32) | (*source)();
  };
  routes = std::make_unique<Routes>(context, options.model_path);
  return ok();
}

Status HttpServer::State::bind() {
  error_code error;
  const auto address = asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
  if (error)
    return Error{ErrorCode::invalid_config, Scope::instance,
                 fmt::format("host {} is no IP address; use 127.0.0.1, or 0.0.0.0 for every interface", options.host)};
  const asio::ip::tcp::endpoint endpoint(address, options.port);
  acceptor.open(endpoint.protocol(), error);
  acceptor.set_option(asio::socket_base::reuse_address(true), error);
  acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return Error{ErrorCode::address_in_use, Scope::instance,
                 fmt::format("cannot listen on {}:{}: {}; choose another with --port, or with the node's `http` in a cluster file",
                             options.host, options.port, error.message())};
  }
  port = acceptor.local_endpoint().port();
  return ok();
}

void HttpServer::State::accept_next() {
  acceptor.async_accept([this](error_code error, asio::ip::tcp::socket socket) { on_accept(error, std::move(socket)); });
}

void HttpServer::State::on_accept(error_code error, asio::ip::tcp::socket socket) {
  if (!acceptor.is_open()) return;
  if (error) {                                 // out of descriptors, usually: go on when some are free again
    auto pause = std::make_shared<asio::steady_timer>(io, std::chrono::milliseconds(50));
    pause->async_wait([this, pause](error_code) { if (acceptor.is_open()) accept_next(); });
    return;
  }
  if (sessions.size() >= options.max_connections) {
    static const std::string kBody =
        R"({"error":{"message":"too many connections: try again","type":"service_unavailable_error","param":null,"code":"busy"}})";
    static const std::string kFull = fmt::format(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\n"
        "Content-Length: {}\r\n\r\n{}", kBody.size(), kBody);
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.send(asio::buffer(kFull), 0, ignored);
  } else {
    Session::Hooks hooks;
    hooks.handle = [this](const HttpRequest& request, std::shared_ptr<Responder> responder) {
      routes->handle(request, std::move(responder));
    };
    hooks.answered = [this](const std::string& path, unsigned status) { metrics.http_answered(routes->name_of(path), status); };
    hooks.closed = [this](Session* session) {
      const auto it = std::find_if(sessions.begin(), sessions.end(), [&](const auto& s) { return s.get() == session; });
      if (it != sessions.end()) sessions.erase(it);
      check_drained();
    };
    auto session = std::make_shared<Session>(std::move(socket), options, std::move(hooks));
    sessions.insert(session);
    session->start();
  }
  accept_next();
}

void HttpServer::State::check_drained() {
  if (!draining || !sessions.empty()) return;
  const std::scoped_lock lock(drained_mutex);
  drained = true;
  drained_changed.notify_all();
}

HttpServer::HttpServer(HttpOptions options, std::shared_ptr<Backend> backend, std::shared_ptr<const LoadedModel> model,
                       std::shared_ptr<const Tokenizer> tokenizer)
    : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->backend = std::move(backend);
  state_->model = std::move(model);
  state_->tokenizer = std::move(tokenizer);
}

Status HttpServer::start() {
  if (const Status prepared = state_->prepare(); !prepared.ok()) return prepared;
  if (const Status bound = state_->bind(); !bound.ok()) return bound;
  state_->accept_next();
  state_->thread = std::thread([state = state_.get()] { state->io.run(); });
  return ok();
}

std::uint16_t HttpServer::port() const { return state_->port; }

void HttpServer::drain_and_stop(Duration limit) {
  if (!state_->thread.joinable()) return;
  asio::post(state_->io, [state = state_.get()] {
    error_code ignored;
    state->acceptor.close(ignored);
    state->draining = true;
    const auto open = state->sessions;         // closing one changes the set
    for (const auto& session : open) session->close_when_idle();
    state->check_drained();
  });
  {
    std::unique_lock lock(state_->drained_mutex);
    state_->drained_changed.wait_for(lock, limit, [&] { return state_->drained; });
  }
  asio::post(state_->io, [state = state_.get()] {
    const auto open = state->sessions;
    for (const auto& session : open) session->close();
    state->io.stop();
  });
  state_->thread.join();
}

HttpServer::~HttpServer() { drain_and_stop(Duration{0}); }

}  // namespace baton::gateway
