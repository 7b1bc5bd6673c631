#include "actors/gateway/routes.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/gateway/api_error.h"
#include "actors/gateway/json_fields.h"

namespace baton::gateway {

using nlohmann::json;

namespace {

HttpResponse json_response(const json& value, unsigned status = 200) {
  return {status, "application/json", value.dump(-1, ' ', false, json::error_handler_t::replace), {}};
}

constexpr std::string_view kModels = "/v1/models/";
constexpr const char* kOneModel = "/v1/models/{id}";

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* digits = text.data() + i + 1;
    const bool escape = text[i] == '%' && i + 2 < text.size();
    if (escape && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

json model_json(const CallContext& context, const std::string& path) {
  return {{"id", context.model_id}, {"object", "model"}, {"created", context.started_s}, {"owned_by", "baton"},
          {"root", path}, {"parent", nullptr}, {"max_model_len", context.max_model_len}};
}

HttpResponse error_response(const Error& error) { return {http_status(error), "application/json", error_json(error), {}}; }

}  // namespace

Routes::Routes(CallContext& context, std::string model_path)
    : context_(context), model_path_(std::move(model_path)) {
  using Request = const HttpRequest&;
  using Reply = std::shared_ptr<Responder>;
  table_["/v1/completions"]["POST"] = [this](Request request, Reply reply) {
    CompletionCall::start(context_, request, false, std::move(reply));
  };
  table_["/v1/chat/completions"]["POST"] = [this](Request request, Reply reply) {
    CompletionCall::start(context_, request, true, std::move(reply));
  };
  table_["/v1/models"]["GET"] = [this](Request, Reply reply) { models(*reply); };
  table_[kOneModel]["GET"] = [this](Request request, Reply reply) { model(request, *reply); };
  table_["/tokenize"]["POST"] = [this](Request request, Reply reply) { tokenize(request, *reply); };
  table_["/detokenize"]["POST"] = [this](Request request, Reply reply) { detokenize(request, *reply); };
  table_["/health"]["GET"] = [this](Request, Reply reply) { health(*reply); };
  table_["/live"]["GET"] = [](Request, Reply reply) { reply->respond(json_response({{"status", "live"}})); };
  table_["/metrics"]["GET"] = [this](Request, Reply reply) { metrics(std::move(reply)); };
  table_["/cluster"]["GET"] = [this](Request, Reply reply) { cluster(std::move(reply)); };
}

void Routes::handle(const HttpRequest& request, std::shared_ptr<Responder> responder) {
  const auto path = table_.find(name_of(request.path));
  if (path == table_.end()) {
    const std::string what = fmt::format("{} {} is not there", excerpt(request.method), excerpt(request.path));
    return responder->respond(error_response({ErrorCode::not_found, Scope::request, what, ""}));
  }
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  const auto handler = path->second.find(method);
  if (handler == path->second.end()) {
    std::string allowed;
    for (const auto& [name, unused] : path->second) allowed += (allowed.empty() ? "" : ", ") + name + (name == "GET" ? ", HEAD" : "");
    const std::string what = fmt::format("{} takes {}, not {}", path->first, allowed, excerpt(request.method));
    return responder->respond({405, "application/json", error_json(bad_request("", what)), {{"Allow", allowed}}});
  }
  handler->second(request, std::move(responder));
}

std::string Routes::name_of(const std::string& path) const {
  if (table_.contains(path)) return path;
  return path.size() > kModels.size() && path.starts_with(kModels) ? kOneModel : "other";
}

void Routes::models(Responder& responder) const {
  responder.respond(json_response({{"object", "list"}, {"data", json::array({model_json(context_, model_path_)})}}));
}

void Routes::model(const HttpRequest& request, Responder& responder) const {
  const std::string id = percent_decoded(std::string_view(request.path).substr(kModels.size()));
  const auto& names = context_.model_names;
  if (std::find(names.begin(), names.end(), id) != names.end()) return responder.respond(json_response(model_json(context_, model_path_)));
  responder.respond(error_response(unknown_model(id, context_.model_id)));
}

void Routes::tokenize(const HttpRequest& request, Responder& responder) const {
  const auto object = parse_object(request.body);
  if (!object.ok()) return responder.respond(error_response(object.error()));
  JsonFields fields(*object);
  std::vector<TokenId> tokens;
  if (const json* list = fields.find("messages")) {
    const auto parsed = parse_messages(*list);
    if (!parsed.ok()) return responder.respond(error_response(parsed.error()));
    if (!context_.chat_template)
      return responder.respond(
          error_response(bad_request("messages", "this model has no chat template; give a prompt")));
    std::vector<ChatMessage> messages;
    for (const ApiMessage& message : *parsed) messages.push_back({message.role, message.content});
    tokens = context_.chat_template->render(messages, fields.boolean("add_generation_prompt", true), *context_.tokenizer);
  } else {
    const auto prompt = fields.string("prompt");
    if (!prompt && !fields.error()) fields.fail("prompt", "is missing: give a prompt or messages");
    const bool parse_special = fields.boolean("parse_special", true);
    const bool add_special = fields.boolean("add_special_tokens", true);
    if (!fields.error()) tokens = context_.tokenizer->encode(*prompt, {.parse_special = parse_special, .add_special = add_special});
  }
  if (fields.error()) return responder.respond(error_response(*fields.error()));
  responder.respond(json_response({{"tokens", tokens}, {"count", tokens.size()}, {"max_model_len", context_.max_model_len}}));
}

void Routes::detokenize(const HttpRequest& request, Responder& responder) const {
  const auto object = parse_object(request.body);
  if (!object.ok()) return responder.respond(error_response(object.error()));
  const auto list = object->find("tokens");
  if (list == object->end()) return responder.respond(error_response(bad_request("tokens", "tokens is missing")));
  const auto tokens = parse_token_ids(*list, "tokens");
  if (!tokens.ok()) return responder.respond(error_response(tokens.error()));
  for (const TokenId token : *tokens) {
    if (token >= static_cast<TokenId>(context_.tokenizer->vocabulary())) {
      return responder.respond(error_response(bad_request(
          "tokens", fmt::format("tokens holds {}; the vocabulary has {}", token, context_.tokenizer->vocabulary()))));
    }
  }
  responder.respond(json_response({{"prompt", context_.tokenizer->decode(*tokens, true)}}));
}

void Routes::health(Responder& responder) const {
  if (context_.backend->ready()) return responder.respond(json_response({{"status", "ready"}}));
  responder.respond(
      error_response({ErrorCode::unavailable, Scope::cluster,
                      "not ready: waiting for a scheduler and for instances that can prefill and decode", ""}));
}

void Routes::metrics(std::shared_ptr<Responder> responder) const {
  context_.backend->cluster([this, responder](ClusterView view) {
    context_.post([this, responder, view = std::move(view)] {
      responder->respond({200, "text/plain; version=0.0.4; charset=utf-8", context_.metrics->text(view, context_.model_id), {}});
    });
  });
}

void Routes::cluster(std::shared_ptr<Responder> responder) const {
  context_.backend->cluster([this, responder](ClusterView view) {
    context_.post([responder, view = std::move(view)] { responder->respond({200, "application/json", cluster_json(view), {}}); });
  });
}

}  // namespace baton::gateway
