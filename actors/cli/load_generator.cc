#include "actors/cli/load_generator.h"

#include <chrono>
#include <cmath>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <spdlog/fmt/fmt.h>

#include "runtime/base/random.h"

namespace baton::cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

http::request<http::string_body> request_of(const std::string& host, const std::string& method, const std::string& path,
                                            const std::string& body) {
  http::request<http::string_body> request(http::string_to_verb(method), path, 11);
  request.set(http::field::host, host);
  request.set(http::field::content_type, "application/json");
  request.body() = body;
  request.prepare_payload();
  return request;
}

class Run;

// One request on a connection of its own.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Run& run, std::size_t index);
  void start();

 private:
  void write(error_code error);
  void read();
  void on_data();
  void end(const std::string& error);

  Run& run_;
  std::size_t index_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  std::size_t seen_ = 0;                 // of the body
  bool done_ = false;                    // [DONE] came
};

class Run {
 public:
  explicit Run(const LoadPlan& plan) : plan(plan), records(plan.bodies.size()), timer_(io) {}

  std::vector<RequestRecord> go(asio::ip::tcp::resolver::results_type resolved) {
    endpoints = std::move(resolved);
    began_ = Clock::now();
    if (plan.rate > 0) {
      schedule();
    } else {
      for (std::uint32_t i = 0; i < plan.concurrency; ++i) launch(now());
    }
    io.run();
    return std::move(records);
  }

  double now() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

  void ended() {
    ++ended_;
    if (plan.progress) plan.progress(ended_);
    if (plan.rate <= 0) launch(now());
  }

  asio::io_context io{1};
  const LoadPlan& plan;
  asio::ip::tcp::resolver::results_type endpoints;
  std::vector<RequestRecord> records;

 private:
  void launch(double arrival) {
    if (next_ == records.size()) return;
    records[next_].arrival_s = arrival;
    std::make_shared<Exchange>(*this, next_++)->start();
  }

  void schedule() {
    if (next_ == records.size()) return;
    due_ += -std::log(1.0 - draw_unit(plan.seed, next_)) / plan.rate;
    timer_.expires_at(began_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(due_)));
    timer_.async_wait([this](error_code) {
      launch(due_);
      schedule();
    });
  }

  asio::steady_timer timer_;
  Clock::time_point began_;
  double due_ = 0;
  std::size_t next_ = 0;
  std::size_t ended_ = 0;
};

Exchange::Exchange(Run& run, std::size_t index)
    : run_(run), index_(index), stream_(run.io), request_(request_of(run.plan.host, "POST", "/v1/completions", run.plan.bodies[index])) {
  parser_.body_limit(std::uint64_t{1} << 30);
}

void Exchange::start() {
  stream_.expires_after(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(run_.plan.timeout_s)));
  stream_.async_connect(run_.endpoints, [self = shared_from_this()](error_code error, const auto&) { self->write(error); });
}

void Exchange::write(error_code error) {
  if (error) return end("cannot connect: " + error.message());
  http::async_write(stream_, request_, [self = shared_from_this()](error_code failed, std::size_t) {
    if (failed) return self->end("cannot send: " + failed.message());
    self->read();
  });
}

void Exchange::read() {
  http::async_read_some(stream_, buffer_, parser_, [self = shared_from_this()](error_code error, std::size_t) {
    if (self->parser_.is_header_done()) self->on_data();
    if (error) return self->end("the stream broke off: " + error.message());
    if (self->parser_.is_done()) return self->end("");
    self->read();
  });
}

// A token is an event with a choice in it.
void Exchange::on_data() {
  if (parser_.get().result() != http::status::ok) return;
  const std::string& body = parser_.get().body();
  RequestRecord& record = run_.records[index_];
  for (std::size_t stop; (stop = body.find("\n\n", seen_)) != std::string::npos; seen_ = stop + 2) {
    const std::string_view event(body.data() + seen_, stop - seen_);
    if (event == "data: [DONE]") done_ = true;
    else if (event.find("\"error\":") != std::string_view::npos && event.find("\"choices\"") == std::string_view::npos)
      record.error = std::string(event);
    else if (event.find("\"choices\":[{") != std::string_view::npos) record.token_s.push_back(run_.now());
  }
}

void Exchange::end(const std::string& error) {
  RequestRecord& record = run_.records[index_];
  record.end_s = run_.now();
  if (record.error.empty() && !error.empty()) record.error = error;
  if (record.error.empty() && parser_.is_header_done() && parser_.get().result() != http::status::ok) {
    record.error = fmt::format("HTTP {}: {}", parser_.get().result_int(), parser_.get().body());
  }
  record.ok = record.error.empty() && done_;
  if (!record.ok && record.error.empty()) record.error = "the stream ended without [DONE]";
  error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  run_.ended();
}

Error unreachable(const std::string& host, const std::string& port, const std::string& why) {
  return Error{ErrorCode::peer_unreachable, Scope::peer,
               fmt::format("cannot reach http://{}:{}: {}; is the server up? (baton serve)", host, port, why)};
}

}  // namespace

Result<std::vector<RequestRecord>> run_load(const LoadPlan& plan) {
  Run run(plan);
  asio::ip::tcp::resolver resolver(run.io);
  error_code error;
  auto endpoints = resolver.resolve(plan.host, plan.port, error);
  if (error) return unreachable(plan.host, plan.port, error.message());
  return run.go(std::move(endpoints));
}

Result<HttpAnswer> http_call(const std::string& host, const std::string& port, const std::string& method, const std::string& path,
                             const std::string& body, double timeout_s) {
  asio::io_context io{1};
  asio::ip::tcp::resolver resolver(io);
  error_code failure;
  const auto endpoints = resolver.resolve(host, port, failure);
  if (failure) return unreachable(host, port, failure.message());
  beast::tcp_stream stream(io);
  stream.expires_after(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_s)));
  auto request = request_of(host, method, path, body);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(std::uint64_t{1} << 30);
  stream.async_connect(endpoints, [&](error_code error, const auto&) {
    if ((failure = error)) return;
    http::async_write(stream, request, [&](error_code sent, std::size_t) {
      if ((failure = sent)) return;
      http::async_read(stream, buffer, parser, [&](error_code received, std::size_t) { failure = received; });
    });
  });
  io.run();
  if (failure) return unreachable(host, port, failure.message());
  return HttpAnswer{parser.get().result_int(), parser.get().body()};
}

}  // namespace baton::cli
