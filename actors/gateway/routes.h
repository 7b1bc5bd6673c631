// Paths and methods of the server, and the handlers of the small ones. Completions and chat go to completion_call.h.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "actors/gateway/completion_call.h"
#include "actors/gateway/exchange.h"

namespace baton::gateway {

class Routes {
 public:
  Routes(CallContext& context, std::string model_path);

  void handle(const HttpRequest& request, std::shared_ptr<Responder> responder);
  // The path as the table has it, or "other": what metrics call it.
  std::string name_of(const std::string& path) const;

 private:
  using Handler = std::function<void(const HttpRequest&, std::shared_ptr<Responder>)>;

  void models(Responder& responder) const;
  void model(const HttpRequest& request, Responder& responder) const;
  void tokenize(const HttpRequest& request, Responder& responder) const;
  void detokenize(const HttpRequest& request, Responder& responder) const;
  void health(Responder& responder) const;
  void metrics(std::shared_ptr<Responder> responder) const;
  void cluster(std::shared_ptr<Responder> responder) const;

  CallContext& context_;
  std::string model_path_;
  std::map<std::string, std::map<std::string, Handler>> table_;          // path -> method -> handler
};

}  // namespace baton::gateway
