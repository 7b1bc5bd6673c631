// One HTTP request and the means to answer it, as the handlers see them; a connection (session.h) is behind it, in tests a recorder.
// Everything happens on the server's one thread.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace baton::gateway {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;
  std::string path;                            // without scheme, host and query
  std::string body;
  std::string request_id;                      // of x-request-id, which every answer repeats; empty if none was sent
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  Headers headers;
};

class Responder {
 public:
  virtual ~Responder() = default;
  // Either one response ...
  virtual void respond(HttpResponse response) = 0;
  // ... or a stream: begin, any number of events ("data: TEXT\n\n"), then end, or break_off, which closes the connection without
  // the final chunk so that no client takes the answer for complete.
  virtual void begin_stream(const Headers& headers) = 0;
  virtual void event(const std::string& data) = 0;
  virtual void end_stream() = 0;
  virtual void break_off() = 0;
  // Called once if the client goes away before the end; nothing may be sent then.
  virtual void on_gone(std::function<void()> gone) = 0;
};

}  // namespace baton::gateway
