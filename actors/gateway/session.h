// One client connection: reads requests one after the other within the limits, answers them, notices that the client has gone.
// All handlers run on the server's one thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "actors/gateway/exchange.h"
#include "actors/gateway/http_server.h"

namespace baton::gateway {

class Session : public Responder, public std::enable_shared_from_this<Session> {
 public:
  struct Hooks {
    std::function<void(const HttpRequest&, std::shared_ptr<Responder>)> handle;
    std::function<void(const std::string& path, unsigned status)> answered;
    std::function<void(Session*)> closed;
  };
  Session(boost::asio::ip::tcp::socket socket, const HttpOptions& options, Hooks hooks);

  void start() { read_next(); }
  void close();                                // at once; an exchange in progress counts as gone
  void close_when_idle();                      // after the answer in progress, if any

  void respond(HttpResponse response) override;
  void begin_stream(const Headers& headers) override;
  void event(const std::string& data) override;
  void end_stream() override;
  void break_off() override;
  void on_gone(std::function<void()> gone) override { gone_ = std::move(gone); }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Phase { idle, reading, answering };

  void read_next();
  void on_header(boost::system::error_code error);
  void on_request(boost::system::error_code error);
  void refuse(unsigned status, const std::string& code, const std::string& message);
  void watch_client();
  void on_readable(boost::system::error_code error);
  std::string head(unsigned status, const std::string& content_type, const Headers& headers, std::optional<std::size_t> length) const;
  void queue(std::string bytes);
  void write_some();
  void answer_complete();
  void arm(Duration timeout);

  boost::asio::ip::tcp::socket socket_;
  const HttpOptions& options_;
  Hooks hooks_;
  boost::asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;           // what was read ahead of the request in hand
  std::optional<Parser> parser_;
  Phase phase_ = Phase::idle;
  std::string path_;
  std::string request_id_;                     // the client's, echoed with every answer
  bool head_only_ = false;                     // HEAD: no body
  bool keep_alive_ = true;
  bool chunked_ = true;
  bool watching_ = false;
  bool ending_ = false;                        // the answer is whole; once written, the next request is read
  bool close_after_ = false;
  bool closed_ = false;
  std::size_t longest_event_ = 0;              // of the stream
  std::string unsent_;                         // waits for the write in progress
  std::string writing_;
  std::function<void()> gone_;
};

const char* reason_phrase(unsigned status);

}  // namespace baton::gateway
