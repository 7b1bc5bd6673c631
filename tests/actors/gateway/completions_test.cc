// What clients see of /v1/completions and /v1/chat/completions: shapes, chunks, errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/actors/gateway/gateway_helpers.h"

namespace baton::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::SizeIs;

TEST(Completions, answers_with_text_finish_reason_and_usage) {
  GatewayTest test;
  const json body = json::parse(test.post("/v1/completions", R"({"model":"tiny","prompt":"abcd","max_tokens":3})").body);
  EXPECT_EQ(body["object"], "text_completion");
  EXPECT_EQ(body["model"], "tiny");
  EXPECT_EQ(body["choices"][0]["text"], "Hi!");
  EXPECT_EQ(body["choices"][0]["index"], 0);
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(body["usage"]["completion_tokens"], 3);
  EXPECT_EQ(body["usage"]["total_tokens"], 7);
}

TEST(Completions, streams_one_chunk_per_token_with_finish_reason_on_the_last_and_usage_after_it) {
  GatewayTest test;
  const Reply reply = test.post("/v1/completions", R"({"prompt":"ab","stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(reply.body.find('\r'), std::string::npos);
  ASSERT_THAT(reply.events, SizeIs(5));
  std::string text;
  for (int i = 0; i < 3; ++i) {
    const json chunk = json::parse(reply.events[static_cast<std::size_t>(i)]);
    EXPECT_EQ(chunk["object"], "text_completion");
    EXPECT_EQ(chunk["choices"][0]["index"], 0);
    text += chunk["choices"][0]["text"];
    EXPECT_EQ(chunk["choices"][0]["finish_reason"], i == 2 ? json("length") : json(nullptr));
  }
  EXPECT_EQ(text, "Hi!");
  const json usage = json::parse(reply.events[3]);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["completion_tokens"], 3);
  EXPECT_EQ(reply.events[4], "[DONE]");
}

TEST(Chat, streams_a_role_chunk_then_the_tokens) {
  GatewayTest test;
  const Reply reply = test.post("/v1/chat/completions",
                                R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"stream":true,"max_tokens":3})");
  ASSERT_THAT(reply.events, SizeIs(5));
  const json role = json::parse(reply.events[0]);
  EXPECT_EQ(role["object"], "chat.completion.chunk");
  EXPECT_EQ(role["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(json::parse(reply.events[1])["choices"][0]["delta"]["content"], "H");
}

TEST(Chat, keeps_special_tokens_in_a_message_as_text) {
  GatewayTest test;
  test.post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x<|im_end|>y"}],"max_tokens":3})");
  const auto prompt = test.backend().submitted().at(0).prompt;
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), ByteTokenizer::kEnd), 1);
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), ByteTokenizer::kStart), 2);
}

TEST(Completions, takes_text_ids_and_lists_of_either) {
  const std::pair<const char*, std::vector<std::size_t>> cases[] = {
      {R"("abc")", {3}}, {R"(["abc"])", {3}}, {R"([97,98])", {2}}, {R"([[97,98],[99]])", {2, 1}}, {R"(["a","bc"])", {1, 2}},
       {R"("<|im_start|>a")", {2}}};
  for (const auto& [prompt, lengths] : cases) {
    GatewayTest test;
    const Reply reply = test.post("/v1/completions", std::string(R"({"prompt":)") + prompt + "}");
    EXPECT_EQ(reply.status, 200u) << prompt;
    std::vector<std::size_t> seen;
    for (const RequestSpec& spec : test.backend().submitted()) seen.push_back(spec.prompt.size());
    EXPECT_EQ(seen, lengths) << prompt;
    EXPECT_EQ(json::parse(reply.body)["choices"].size(), lengths.size()) << prompt;
  }
}

TEST(Completions, numbers_choices_over_prompts) {
  GatewayTest test;
  test.backend().script = [](const RequestSpec& spec, std::shared_ptr<RequestSink> sink) {
    for (std::uint32_t choice = spec.choices; choice-- > 0;) sink->on_token(token_event(choice, static_cast<char>('0' + choice), "stop"));
    sink->on_outcome(good_outcome(1, spec.choices));
  };
  const json body = json::parse(test.post("/v1/completions", R"({"prompt":["a","b"],"n":2})").body);
  std::vector<std::string> texts;
  for (const json& choice : body["choices"]) texts.push_back(choice["text"]);
  EXPECT_THAT(texts, ElementsAre("0", "1", "0", "1"));
  EXPECT_EQ(body["choices"][3]["index"], 3);
  EXPECT_EQ(body["usage"]["completion_tokens"], 4);
}

TEST(Completions, gives_log_probabilities_in_the_shape_of_each_api) {
  GatewayTest test;
  const json completion = json::parse(test.post("/v1/completions", R"({"prompt":"ab","logprobs":1})").body)["choices"][0]["logprobs"];
  EXPECT_THAT(completion["tokens"], ElementsAre("H", "i", "!"));
  EXPECT_FLOAT_EQ(completion["token_logprobs"][0], -0.5f);
  EXPECT_FLOAT_EQ(completion["top_logprobs"][0]["z"], -1.5f);
  EXPECT_THAT(completion["text_offset"], ElementsAre(0, 1, 2));
  const char* body = R"({"messages":[{"role":"user","content":"a"}],"logprobs":true,"top_logprobs":2,"max_tokens":3})";
  const json chat = json::parse(test.post("/v1/chat/completions", body).body)["choices"][0]["logprobs"]["content"];
  EXPECT_EQ(chat[1]["token"], "i");
  EXPECT_THAT(chat[1]["bytes"], ElementsAre('i'));
  EXPECT_THAT(chat[1]["top_logprobs"], SizeIs(2));
}

// Where a token begins in the choice's text, counted in characters: a token may be a part of one.
TEST(Completions, counts_text_offsets_in_characters_of_the_text_that_is_returned) {
  const auto script = [](const RequestSpec& spec, std::shared_ptr<RequestSink> sink) {
    const std::string bytes = "\xc3\xa4\xe2\x82\xac!";            // two, three bytes and one
    if (spec.sampling.prompt_logprobs >= 0) {
      EmitPromptScores scores;
      for (std::size_t i = 1; i < spec.prompt.size(); ++i) scores.scores.push_back({{spec.prompt[i], -1.0f, 1}, {}});
      sink->on_prompt_scores(scores);
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) sink->on_token(token_event(0, bytes[i], i + 1 == bytes.size() ? "length" : ""));
    sink->on_outcome(good_outcome(2, 6));
  };
  const std::pair<const char*, std::vector<int>> cases[] = {
      {R"("prompt":"\u00f6b")", {0, 0, 1, 1, 1, 2}},
      {R"("prompt":[195,182,98])", {0, 0, 1, 1, 1, 2}},
      {R"("prompt":"\u00f6b","echo":true)", {0, 0, 1, 2, 2, 3, 3, 3, 4}},
      {R"("prompt":[195,182,98],"echo":true)", {0, 0, 1, 2, 2, 3, 3, 3, 4}},
      {R"("prompt":"<|im_start|>b","echo":true)", {0, 12, 13, 13, 14, 14, 14, 15}},
      {R"("prompt":[256,98],"echo":true)", {0, 0, 1, 1, 2, 2, 2, 3}},
      {R"("prompt":[256,98],"echo":true,"skip_special_tokens":false)", {0, 12, 13, 13, 14, 14, 14, 15}},
  };
  for (const auto& [fields, offsets] : cases) {
    GatewayTest test;
    test.backend().script = script;
    const std::string body = std::string("{\"logprobs\":0,") + fields;
    EXPECT_EQ(json::parse(test.post("/v1/completions", body + "}").body)["choices"][0]["logprobs"]["text_offset"], json(offsets)) << fields;
    std::vector<int> streamed;
    const Reply stream = test.post("/v1/completions", body + ",\"stream\":true}");
    for (const std::string& event : stream.events) {
      if (event == "[DONE]") continue;
      const json chunk = json::parse(event);
      for (const json& offset : chunk["choices"][0]["logprobs"]["text_offset"]) streamed.push_back(offset);
    }
    EXPECT_EQ(streamed, offsets) << fields << ", streamed";
  }
}

TEST(Completions, gives_usage_with_every_chunk_when_asked_for_continuous_usage) {
  const std::pair<const char*, const char*> cases[] = {
      {"/v1/completions", R"("prompt":"ab")"},
      {"/v1/completions", R"("prompt":"ab","echo":true)"},
      {"/v1/completions", R"("prompt":"ab","echo":true,"max_tokens":0)"},
      {"/v1/chat/completions", R"("messages":[{"role":"user","content":"a"}])"}};
  for (const auto& [path, fields] : cases) {
    GatewayTest test;
    const std::string options = R"("stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true})";
    const Reply reply = test.post(path, std::string("{") + fields + "," + options + "}");
    ASSERT_FALSE(reply.events.empty()) << fields;
    for (const std::string& event : reply.events) {
      if (event == "[DONE]") continue;
      EXPECT_TRUE(json::parse(event)["usage"].contains("completion_tokens")) << fields << "\n" << event;
    }
  }
}

TEST(Chat, speaks_of_the_limit_by_the_name_that_the_client_gave) {
  for (const std::string name : {"max_tokens", "max_completion_tokens"}) {
    for (const std::string value : {"64", "64,\"min_tokens\":65"}) {
      GatewayTest test;
      const std::string body = R"({"messages":[{"role":"user","content":"a"}],")" + name + "\":" + value + "}";
      const Reply reply = test.post("/v1/chat/completions", body);
      const json error = json::parse(reply.body)["error"];
      if (value == "64") {
        EXPECT_EQ(error["param"], name);
      }
      EXPECT_THAT(error["message"].get<std::string>(), testing::ContainsRegex((value == "64" ? "lower " : "more than ") + name + "[ ,]"));
    }
  }
}

TEST(Completions, names_tokens_by_id_when_asked) {
  GatewayTest test;
  const char* body = R"({"prompt":"ab","logprobs":0,"return_tokens_as_token_ids":true,"return_token_ids":true})";
  const json choice = json::parse(test.post("/v1/completions", body).body)["choices"][0];
  EXPECT_EQ(choice["logprobs"]["tokens"][0], "token_id:72");
  EXPECT_THAT(choice["token_ids"], ElementsAre(72, 105, 33));
  EXPECT_THAT(choice["prompt_token_ids"], ElementsAre(97, 98));
}

TEST(Completions, echoes_the_prompt_with_its_scores) {
  GatewayTest test;
  test.backend().script = [](const RequestSpec& spec, std::shared_ptr<RequestSink> sink) {
    EXPECT_EQ(spec.sampling.prompt_logprobs, 1);
    EmitPromptScores scores;
    scores.scores.push_back(token_event(0, 'b').tokens[0]);
    sink->on_prompt_scores(scores);
    if (spec.sampling.max_tokens > 0) sink->on_token(token_event(0, 'c', "length"));
    sink->on_outcome(good_outcome(2, spec.sampling.max_tokens));
  };
  const auto choice_of = [&](const char* body) { return json::parse(test.post("/v1/completions", body).body)["choices"][0]; };
  const json choice = choice_of(R"({"prompt":"ab","logprobs":1,"echo":true,"max_tokens":1})");
  EXPECT_EQ(choice["text"], "abc");
  EXPECT_THAT(choice["logprobs"]["tokens"], ElementsAre("a", "b", "c"));
  EXPECT_TRUE(choice["logprobs"]["token_logprobs"][0].is_null());
  EXPECT_THAT(choice["logprobs"]["text_offset"], ElementsAre(0, 1, 2));
  const json only = choice_of(R"({"prompt":"ab","logprobs":1,"echo":true,"max_tokens":0})");
  EXPECT_EQ(only["text"], "ab");
  EXPECT_THAT(only["logprobs"]["tokens"], ElementsAre("a", "b"));
}

TEST(Completions, refuses_what_it_cannot_do_and_names_the_parameter) {
  struct Case {
    const char* path;
    const char* body;
    unsigned status;
    const char* parameter;
    const char* code;
  };
  const char* completions = "/v1/completions";
  const char* chat = "/v1/chat/completions";
  const Case cases[] = {
      {completions, R"({})", 400, "prompt", "invalid_argument"},
      {completions, R"({"prompt":""})", 400, "prompt", "invalid_argument"},
      {completions, R"({"prompt":[]})", 400, "prompt", "invalid_argument"},
      {completions, R"({"prompt":[99999]})", 400, "prompt", "invalid_argument"},
      {completions, R"({"prompt":{"a":1}})", 400, "prompt", "invalid_argument"},
      {completions, R"({"prompt":"a","max_tokens":0})", 400, "max_tokens", "invalid_argument"},
      {completions, R"({"prompt":"a","max_tokens":-1})", 400, "max_tokens", "invalid_argument"},
      {completions, R"({"prompt":"a","max_tokens":1.5})", 400, "max_tokens", "invalid_argument"},
      {completions, R"({"prompt":"a","max_tokens":"9"})", 400, "max_tokens", "invalid_argument"},
      {completions, R"({"prompt":"a","max_tokens":64})", 400, "max_tokens", "context_length_exceeded"},
      {completions, R"({"prompt":"a","max_tokens":18446744073709551615})", 400, "max_tokens", "invalid_argument"},
      {completions, R"({"prompt":"a","min_tokens":9,"max_tokens":8})", 400, "min_tokens", "invalid_argument"},
      {completions, R"({"prompt":"a","min_tokens":17})", 400, "min_tokens", "invalid_argument"},
      {chat, R"({"messages":[{"role":"user","content":"a"}],"min_tokens":64})", 400, "min_tokens", "invalid_argument"},
      {completions, R"({"prompt":"a","temperature":-1})", 400, "temperature", "invalid_argument"},
      {completions, R"({"prompt":"a","temperature":"hot"})", 400, "temperature", "invalid_argument"},
      {completions, R"({"prompt":"a","top_p":0})", 400, "top_p", "invalid_argument"},
      {completions, R"({"prompt":"a","top_p":1.1})", 400, "top_p", "invalid_argument"},
      {completions, R"({"prompt":"a","n":0})", 400, "n", "invalid_argument"},
      {completions, R"({"prompt":"a","n":129})", 400, "n", "invalid_argument"},
      {completions, R"({"prompt":"a","logprobs":21})", 400, "logprobs", "invalid_argument"},
      {completions, R"({"prompt":"a","stop":[1]})", 400, "stop", "invalid_argument"},
      {completions, R"({"prompt":"a","stop":""})", 400, "stop", "invalid_argument"},
      {completions, R"({"prompt":"a","logit_bias":{"x":1}})", 400, "logit_bias", "invalid_argument"},
      {completions, R"({"prompt":"a","logit_bias":{"1":101}})", 400, "logit_bias", "invalid_argument"},
      {completions, R"({"prompt":"a","logit_bias":{"5000":1}})", 400, "logit_bias", "invalid_argument"},
      {completions, R"({"prompt":"a","stop_token_ids":[-1]})", 400, "stop_token_ids", "invalid_argument"},
      {completions, R"({"prompt":"a","stream_options":{"include_usage":true}})", 400, "stream_options", "invalid_argument"},
      {completions, R"({"prompt":"a","suffix":"b"})", 400, "suffix", "invalid_argument"},
      {completions, R"({"prompt":"a","model":"other"})", 404, "model", "model_not_found"},
      {chat, R"({})", 400, "messages", "invalid_argument"},
      {chat, R"({"messages":[]})", 400, "messages", "invalid_argument"},
      {chat, R"({"messages":[{"content":"a"}]})", 400, "messages[0].role", "invalid_argument"},
      {chat, R"({"messages":[{"role":"user"}]})", 400, "messages[0].content", "invalid_argument"},
      {chat, R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})", 400, "messages[0].content", "invalid_argument"},
      {chat, R"({"messages":[{"role":"user","content":"a"}],"top_logprobs":2})", 400, "top_logprobs", "invalid_argument"},
      {chat, R"({"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]})", 400, "tools", "invalid_argument"},
      {chat, R"({"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}})", 400, "response_format",
        "invalid_argument"},
  };
  GatewayTest test;
  for (const Case& c : cases) {
    const Reply reply = test.post(c.path, c.body);
    EXPECT_EQ(reply.status, c.status) << c.body;
    const json error = json::parse(reply.body)["error"];
    EXPECT_EQ(error["param"], c.parameter) << c.body;
    EXPECT_EQ(error["code"], c.code) << c.body;
    EXPECT_FALSE(error["message"].get<std::string>().empty()) << c.body;
  }
  EXPECT_THAT(test.backend().submitted(), SizeIs(0));
}

TEST(Completions, give_as_many_choices_as_the_limits_of_the_server_allow) {
  GatewayTest test([](HttpOptions& o) { o.max_choices = 2; });
  EXPECT_EQ(test.post("/v1/completions", R"({"prompt":"a","n":2})").status, 200u);
  const Reply refused = test.post("/v1/completions", R"({"prompt":"a","n":3})");
  EXPECT_EQ(refused.status, 400u);
  EXPECT_EQ(json::parse(refused.body)["error"]["param"], "n");
}

TEST(Completions, refuses_a_prompt_longer_than_the_context_by_code) {
  GatewayTest test;
  const Reply reply = test.post("/v1/completions", R"({"prompt":")" + std::string(65, 'a') + R"("})");
  EXPECT_EQ(reply.status, 400u);
  EXPECT_EQ(json::parse(reply.body)["error"]["code"], "context_length_exceeded");
}

TEST(Completions, treats_null_as_absent_and_ignores_what_it_does_not_know) {
  GatewayTest test;
  const Reply reply = test.post("/v1/completions", R"({"prompt":"a","stop":null,"logprobs":null,"max_tokens":null,"temperature":null,
    "seed":null,"logit_bias":null,"stream":null,"n":null,"user":"u","repetition_penalty":1.0,"some_extra":{"x":[1]}})");
  EXPECT_EQ(reply.status, 200u);
  EXPECT_EQ(test.backend().submitted().at(0).sampling.max_tokens, 16u);
}

TEST(Completions, passes_the_sampling_parameters_on) {
  GatewayTest test;
  test.post("/v1/completions", R"({"prompt":"a","temperature":0.5,"top_k":7,"top_p":0.25,"min_p":0.125,"repetition_penalty":1.5,
    "presence_penalty":0.5,"frequency_penalty":-0.5,"logit_bias":{"7":2,"3":-100},"seed":9,"max_tokens":5,"min_tokens":2,"ignore_eos":true,
    "stop_token_ids":[4],"stop":["x","yy"]})");
  const RequestSpec spec = test.backend().submitted().at(0);
  SamplingParams want;
  want.temperature = 0.5f;
  want.top_k = 7;
  want.top_p = 0.25f;
  want.min_p = 0.125f;
  want.repetition_penalty = 1.5f;
  want.presence_penalty = 0.5f;
  want.frequency_penalty = -0.5f;
  want.logit_bias = {{3, -100.0f}, {7, 2.0f}};
  want.seed = 9;
  want.max_tokens = 5;
  want.min_tokens = 2;
  want.ignore_eos = true;
  want.stop_token_ids = {4};
  EXPECT_EQ(spec.sampling, want);
  EXPECT_THAT(spec.stop, ElementsAre("x", "yy"));
}

TEST(Completions, turns_an_early_failure_into_its_status) {
  const std::tuple<ErrorCode, unsigned, const char*> cases[] = {
      {ErrorCode::queue_full, 429u, "rate_limit_error"}, {ErrorCode::unavailable, 503u, "service_unavailable_error"},
       {ErrorCode::deadline_exceeded, 504u, "timeout_error"}};
  for (const auto& [code, status, type] : cases) {
    GatewayTest test;
    test.backend().script = [code = code](const RequestSpec&, std::shared_ptr<RequestSink> sink) {
      sink->on_outcome(bad_outcome(code, "no", 3));
    };
    const Reply reply = test.post("/v1/completions", R"({"prompt":"a","stream":true})");
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(reply.headers.at("retry-after"), "3");
    EXPECT_EQ(json::parse(reply.body)["error"]["type"], type);
  }
}

TEST(Completions, breaks_the_connection_after_an_error_in_mid_stream) {
  GatewayTest test;
  test.backend().script = [](const RequestSpec&, std::shared_ptr<RequestSink> sink) {
    sink->on_token(token_event(0, 'a'));
    sink->on_outcome(bad_outcome(ErrorCode::unavailable, "nobody is left to decode"));
  };
  Client client = test.client();
  client.post("/v1/completions", R"({"prompt":"a","stream":true})");
  const Reply reply = client.read();
  EXPECT_FALSE(reply.complete);
  ASSERT_THAT(reply.events, SizeIs(2));
  EXPECT_EQ(json::parse(reply.events[1])["error"]["message"], "nobody is left to decode");
}

}  // namespace
}  // namespace baton::gateway
