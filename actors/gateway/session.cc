#include "actors/gateway/session.h"

#include <algorithm>

#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/gateway/api_error.h"

namespace baton::gateway {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

// The path of a target in origin form (/a?b) or absolute form (http://host/a?b).
std::string path_of(std::string_view target) {
  if (!target.starts_with('/')) {
    if (const std::size_t scheme = target.find("://"); scheme != std::string_view::npos) {
      const std::size_t path = target.find_first_of("/?", scheme + 3);
      target = path == std::string_view::npos ? "" : target.substr(path);
      if (!target.starts_with('/')) return "/";
    }
  }
  return std::string(target.substr(0, target.find('?')));
}

}  // namespace

const char* reason_phrase(unsigned status) {
  if (status == 499) return "Client Closed Request";
  const auto text = http::obsolete_reason(static_cast<http::status>(status));
  return text.empty() ? "Unknown" : text.data();
}

Session::Session(asio::ip::tcp::socket socket, const HttpOptions& options, Hooks hooks)
    : socket_(std::move(socket)), options_(options), hooks_(std::move(hooks)), timer_(socket_.get_executor()) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

// One timer for the phase the connection is in; when it fires the connection ends.
void Session::arm(Duration timeout) {
  timer_.expires_after(timeout);
  timer_.async_wait([weak = weak_from_this()](error_code error) {
    if (error) return;
    if (const auto self = weak.lock()) self->close();
  });
}

void Session::read_next() {
  if (closed_) return;
  if (close_after_) return close();
  phase_ = Phase::idle;
  ending_ = false;
  longest_event_ = 0;
  gone_ = nullptr;
  request_id_.clear();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(options_.max_header_bytes));
  parser_->body_limit(options_.max_body_bytes);
  arm(options_.idle_timeout);
  http::async_read_header(socket_, buffer_, *parser_,
                          [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
}

void Session::on_header(error_code error) {
  if (closed_) return;
  phase_ = Phase::reading;
  request_id_ = std::string(parser_->get()["x-request-id"]).substr(0, 256);
  if (error == http::error::header_limit)
    return refuse(431, "header_too_large", fmt::format("the header is over {} bytes", options_.max_header_bytes));
  if (error == http::error::body_limit)
    return refuse(413, "body_too_large", fmt::format("the body is over {} bytes", options_.max_body_bytes));
  if (error && error.category() == http::make_error_code(http::error::end_of_stream).category() && error != http::error::end_of_stream &&
      error != http::error::partial_message) {
    return refuse(400, "malformed_request", "this is no HTTP/1.1 request: " + error.message());
  }
  if (error) return close();
  arm(options_.read_timeout);
  if (boost::beast::iequals(parser_->get()[http::field::expect], "100-continue")) queue("HTTP/1.1 100 Continue\r\n\r\n");
  http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](error_code failed, std::size_t) { self->on_request(failed); });
}

void Session::on_request(error_code error) {
  if (closed_) return;
  if (error == http::error::body_limit)
    return refuse(413, "body_too_large", fmt::format("the body is over {} bytes", options_.max_body_bytes));
  if (error && error.category() == http::make_error_code(http::error::end_of_stream).category() && error != http::error::partial_message) {
    return refuse(400, "malformed_request", "the request's body is malformed: " + error.message());
  }
  if (error) return close();
  timer_.cancel();
  phase_ = Phase::answering;
  auto message = parser_->release();
  keep_alive_ = message.keep_alive();
  chunked_ = message.version() >= 11;
  head_only_ = message.method() == http::verb::head;
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.path = path_of({message.target().data(), message.target().size()});
  request.request_id = request_id_;
  request.body = std::move(message.body());
  path_ = request.path;
  watch_client();
  hooks_.handle(request, shared_from_this());
}

void Session::refuse(unsigned status, const std::string& code, const std::string& message) {
  phase_ = Phase::answering;
  keep_alive_ = false;
  path_ = "(malformed)";
  respond({status, "application/json",
           fmt::format(R"({{"error":{{"message":"{}","type":"invalid_request_error","param":null,"code":"{}"}}}})", message, code), {}});
}

// A client that closes its side while it waits has gone. What else arrives is its next request: it is read ahead, since behind
// bytes that nobody reads a socket does not tell of its end. What is more than one request may have is dropped, and the
// connection ends with the answer in hand.
void Session::watch_client() {
  watching_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_read, [self = shared_from_this()](error_code error) { self->on_readable(error); });
}

void Session::on_readable(error_code error) {
  watching_ = false;
  if (closed_ || error || phase_ != Phase::answering || ending_) return;
  constexpr std::size_t kPiece = 16 << 10;
  const std::size_t before = buffer_.size();
  error_code failed;
  socket_.non_blocking(true, failed);
  const std::size_t count = socket_.read_some(buffer_.prepare(kPiece), failed);
  if (failed && failed != asio::error::would_block) return close();
  const bool more_than_one = before + count > options_.max_header_bytes + options_.max_body_bytes;
  if (more_than_one) keep_alive_ = false;
  else buffer_.commit(count);
  watch_client();
}

std::string Session::head(unsigned status, const std::string& content_type, const Headers& headers,
                          std::optional<std::size_t> length) const {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nServer: baton\r\n", status, reason_phrase(status), content_type);
  const auto add = [&](const std::string& name, const std::string& value) {
    std::string clean;
    for (const char c : value) {
      if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) clean += c;      // no header may end early
    }
    text += name + ": " + clean + "\r\n";
  };
  for (const auto& [name, value] : headers) add(name, value);
  if (!request_id_.empty()) add("X-Request-Id", request_id_);
  if (length) text += fmt::format("Content-Length: {}\r\n", *length);
  else if (chunked_) text += "Transfer-Encoding: chunked\r\nCache-Control: no-cache\r\n";
  text += keep_alive_ && (length || chunked_) ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return text;
}

void Session::respond(HttpResponse response) {
  if (closed_) return;
  hooks_.answered(path_, response.status);
  std::string bytes = head(response.status, response.content_type, response.headers, response.body.size());
  if (!head_only_) bytes += response.body;
  ending_ = true;
  queue(std::move(bytes));
}

void Session::begin_stream(const Headers& headers) {
  if (closed_) return;
  hooks_.answered(path_, 200);
  if (!chunked_) keep_alive_ = false;
  queue(head(200, "text/event-stream; charset=utf-8", headers, std::nullopt));
}

void Session::event(const std::string& data) {
  if (closed_) return;
  const std::string text = "data: " + data + "\n\n";
  longest_event_ = std::max(longest_event_, text.size());      // one that is long by itself is no sign that nobody reads
  queue(chunked_ ? fmt::format("{:x}\r\n{}\r\n", text.size(), text) : text);
  if (unsent_.size() > options_.max_unsent_bytes + 2 * longest_event_) close();
}

void Session::end_stream() {
  if (closed_) return;
  ending_ = true;
  queue(chunked_ ? "0\r\n\r\n" : "");
}

void Session::break_off() {
  if (closed_) return;
  keep_alive_ = false;
  ending_ = true;
  queue("");
}

void Session::queue(std::string bytes) {
  unsent_ += bytes;
  if (writing_.empty()) write_some();
}

void Session::write_some() {
  if (closed_) return;
  if (unsent_.empty()) {
    if (ending_) answer_complete();
    return;
  }
  writing_.swap(unsent_);
  unsent_.clear();
  arm(options_.write_timeout);
  asio::async_write(socket_, asio::buffer(writing_), [self = shared_from_this()](error_code error, std::size_t) {
    self->writing_.clear();
    if (self->closed_) return;
    if (error) return self->close();
    if (self->phase_ == Phase::answering) self->timer_.cancel();
    self->write_some();
  });
}

void Session::answer_complete() {
  timer_.cancel();
  gone_ = nullptr;
  if (!keep_alive_ || close_after_) {
    error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    return close();
  }
  if (!watching_) return read_next();
  error_code ignored;
  socket_.cancel(ignored);                     // ends the wait of watch_client; nothing else is outstanding
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->read_next(); });
}

void Session::close_when_idle() {
  close_after_ = true;
  if (phase_ == Phase::idle) close();
}

void Session::close() {
  if (closed_) return;
  closed_ = true;
  const auto keep = shared_from_this();
  timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
  if (const auto gone = std::exchange(gone_, nullptr)) gone();
  hooks_.closed(this);
}

}  // namespace baton::gateway
