#include "runtime/text/jinja_outline.h"

#include <cctype>
#include <vector>

namespace baton {
namespace {

constexpr std::size_t kLongestTemplate = 1 << 20;
constexpr std::string_view kSystemBegin = "<|im_start|>system\n";
constexpr std::string_view kSystemEnd = "<|im_end|>\n";

struct Token {
  enum class Kind { text, word, sign } kind;      // text: a string's value
  std::string value;
  bool is(std::string_view other) const { return kind != Kind::text && value == other; }
};

struct Statement {
  bool output = false;
  std::vector<Token> tokens;                      // of output: its items, with "~" between
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// A quoted string from text[at], which is its quote; moves past it.
std::optional<std::string> read_string(std::string_view text, std::size_t& at) {
  const char quote = text[at++];
  std::string value;
  for (; at < text.size(); ++at) {
    if (text[at] == quote) {
      ++at;
      return value;
    }
    if (text[at] != '\\') {
      value.push_back(text[at]);
      continue;
    }
    if (++at == text.size()) break;
    switch (text[at]) {
      case 'n': value.push_back('\n'); break;
      case 't': value.push_back('\t'); break;
      case 'r': value.push_back('\r'); break;
      case '\\': case '\'': case '"': value.push_back(text[at]); break;
      default: value.push_back('\\'); value.push_back(text[at]);
    }
  }
  return std::nullopt;
}

// The tokens of a tag from text[at] up to `close` ("%}" or "}}"); moves past it. `mark`: the "-" or "+" it was
// closed with, or 0.
std::optional<std::vector<Token>> read_tag(std::string_view text, std::size_t& at, std::string_view close, char& mark) {
  std::vector<Token> tokens;
  int open = 0;                                   // "{{ {'a': {}} }}": a brace inside is no end
  while (at < text.size()) {
    const char c = text[at];
    const bool dash = c == '-' || c == '+';
    if (open == 0 && (text.substr(at).starts_with(close) || (dash && text.substr(at + 1).starts_with(close)))) {
      mark = dash ? c : '\0';
      at += close.size() + (dash ? 1 : 0);
      return tokens;
    }
    if (is_space(c)) {
      ++at;
    } else if (c == '\'' || c == '"') {
      auto value = read_string(text, at);
      if (!value) return std::nullopt;
      tokens.push_back({Token::Kind::text, std::move(*value)});
    } else if (is_word(c)) {
      const std::size_t begin = at;
      while (at < text.size() && is_word(text[at])) ++at;
      tokens.push_back({Token::Kind::word, std::string(text.substr(begin, at - begin))});
    } else {
      const bool two = at + 1 < text.size() && text[at + 1] == '=' && (c == '=' || c == '!' || c == '<' || c == '>');
      if (c == '{') ++open;
      if (c == '}') --open;
      tokens.push_back({Token::Kind::sign, std::string(text.substr(at, two ? 2 : 1))});
      at += two ? 2 : 1;
    }
  }
  return std::nullopt;
}

// a["b"] -> a . b
std::vector<Token> with_dots(std::vector<Token> tokens) {
  std::vector<Token> out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool indexed = !out.empty() && (out.back().kind == Token::Kind::word || out.back().is("]"));
    const bool key = indexed && i + 2 < tokens.size() && tokens[i].is("[") && tokens[i + 1].kind == Token::Kind::text &&
                     tokens[i + 2].is("]");
    if (!key) {
      out.push_back(std::move(tokens[i]));
      continue;
    }
    out.push_back({Token::Kind::sign, "."});
    out.push_back({Token::Kind::word, tokens[i + 1].value});
    i += 2;
  }
  return out;
}

// Appends an output's items to the output before it, if there is one. "+" and "~" outside brackets part items, unless something
// that binds less (a condition, a comparison) stands beside them; neighbouring literals become one.
void add_output(std::vector<Statement>& statements, std::vector<Token> tokens) {
  if (tokens.empty()) return;
  bool sum = true;
  for (const Token& token : tokens) {
    for (const char* loose : {"if", "else", "and", "or", "not", "in", "is", "==", "!=", "<", ">", "<=", ">="}) {
      sum = sum && !token.is(loose);
    }
  }
  if (statements.empty() || !statements.back().output) statements.push_back({true, {}});
  auto& items = statements.back().tokens;
  if (!items.empty()) items.push_back({Token::Kind::sign, "~"});
  int depth = 0;
  for (Token& token : tokens) {
    if (token.is("(") || token.is("[")) ++depth;
    if (token.is(")") || token.is("]")) --depth;
    const bool parts = sum && depth == 0 && (token.is("+") || token.is("~"));
    items.push_back(parts ? Token{Token::Kind::sign, "~"} : std::move(token));
  }
}

void join_literals(std::vector<Token>& tokens, std::string_view glue) {
  std::vector<Token> out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::size_t n = out.size();
    const bool ends = i + 1 == tokens.size() || tokens[i + 1].is(glue);
    const bool starts = n >= 2 && out[n - 1].is(glue) && out[n - 2].kind == Token::Kind::text &&
                        (n == 2 || out[n - 3].is(glue) || out[n - 3].is("="));
    if (tokens[i].kind == Token::Kind::text && starts && ends) {
      out.pop_back();
      out.back().value += tokens[i].value;
    } else {
      out.push_back(std::move(tokens[i]));
    }
  }
  tokens = std::move(out);
}

// Text between two tags, as Hugging Face sets Jinja up (trim_blocks, lstrip_blocks): "-" takes all white space on its side, a
// block tag the newline after it, and the blanks before it when nothing else stands on its line; "+" keeps what is there.
struct Edge {
  bool block = false;                             // {% %} or {# #}
  char mark = '\0';
};
std::string_view trimmed(std::string_view text, bool line_start, Edge before, Edge after) {
  if (before.mark == '-') {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  } else if (before.block && before.mark != '+' && text.starts_with('\n')) {
    text.remove_prefix(1);
    line_start = true;
  }
  if (after.mark == '-') {
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  } else if (after.block && after.mark != '+') {
    std::size_t end = text.size();
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) --end;
    if (end == 0 ? line_start : text[end - 1] == '\n') text = text.substr(0, end);
  }
  return text;
}

std::size_t next_tag(std::string_view jinja, std::size_t at) {
  for (; at + 1 < jinja.size(); ++at) {
    if (jinja[at] == '{' && (jinja[at + 1] == '{' || jinja[at + 1] == '%' || jinja[at + 1] == '#')) return at;
  }
  return jinja.size();
}

std::optional<std::vector<Statement>> read_statements(std::string_view jinja) {
  std::vector<Statement> statements;
  if (jinja.ends_with('\n')) jinja.remove_suffix(1);
  Edge before;
  for (std::size_t at = 0;;) {
    const std::size_t tag = next_tag(jinja, at);
    const bool end = tag == jinja.size();
    const char kind = end ? '\0' : jinja[tag + 1];
    const char mark = end || tag + 2 >= jinja.size() ? '\0' : jinja[tag + 2];
    const Edge after{kind == '%' || kind == '#', mark == '-' || mark == '+' ? mark : '\0'};
    const auto text = trimmed(jinja.substr(at, tag - at), at == 0, before, after);
    if (!text.empty()) add_output(statements, {{Token::Kind::text, std::string(text)}});
    if (end) return statements;
    at = tag + 2 + (after.mark != '\0' ? 1 : 0);
    before = {after.block, '\0'};
    if (kind == '#') {
      const std::size_t close = jinja.find("#}", at);
      if (close == std::string_view::npos) return std::nullopt;
      if (close > at && (jinja[close - 1] == '-' || jinja[close - 1] == '+')) before.mark = jinja[close - 1];
      at = close + 2;
      continue;
    }
    auto tokens = read_tag(jinja, at, kind == '%' ? "%}" : "}}", before.mark);
    if (!tokens) return std::nullopt;
    if (kind == '{') add_output(statements, with_dots(std::move(*tokens)));
    else statements.push_back({false, with_dots(std::move(*tokens))});
  }
}

bool opens_with(const Statement& statement, std::string_view word) {
  return !statement.output && !statement.tokens.empty() && statement.tokens.front().is(word);
}

// Drops what never has an effect here: "if tools" (the else part stays), training's marks, and
// "if not add_generation_prompt is defined / set add_generation_prompt = false / endif".
std::vector<Statement> decided(std::vector<Statement> statements) {
  std::vector<Statement> out;
  struct Branch { bool on_tools; bool kept; };
  std::vector<Branch> open;
  const auto kept = [&] {
    for (const Branch& branch : open) if (!branch.kept) return false;
    return true;
  };
  for (Statement& statement : statements) {
    if (opens_with(statement, "generation") || opens_with(statement, "endgeneration")) continue;
    if (opens_with(statement, "if")) {
      const auto& t = statement.tokens;
      const bool on_tools = t.size() == 2 && t[1].is("tools");
      const bool on_default = t.size() == 5 && t[1].is("not") && t[2].is("add_generation_prompt") && t[3].is("is") && t[4].is("defined");
      if (kept() && !on_tools && !on_default) out.push_back(statement);
      open.push_back({on_tools || on_default, !on_tools && !on_default});
      continue;
    }
    const bool decided_here = !open.empty() && open.back().on_tools;
    if (decided_here && opens_with(statement, "else")) {
      open.back().kept = true;
      continue;
    }
    if (opens_with(statement, "endif") && !open.empty()) {
      open.pop_back();
      if (!decided_here && kept()) out.push_back(std::move(statement));
      continue;
    }
    if (!kept()) continue;
    if (statement.output && !out.empty() && out.back().output) {
      out.back().tokens.push_back({Token::Kind::sign, "~"});
      for (Token& token : statement.tokens) out.back().tokens.push_back(std::move(token));
    } else {
      out.push_back(std::move(statement));
    }
  }
  return out;
}

void quote(std::string_view value, std::string& out) {
  out.push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (c == '\n') out += "\\n";
    else out.push_back(c);
  }
  out.push_back('"');
}

}  // namespace

std::optional<JinjaOutline> outline_of(std::string_view jinja) {
  if (jinja.size() > kLongestTemplate) return std::nullopt;
  auto statements = read_statements(jinja);
  if (!statements) return std::nullopt;
  JinjaOutline outline;
  for (Statement& statement : decided(std::move(*statements))) {
    join_literals(statement.tokens, statement.output ? "~" : "+");
    if (!outline.program.empty()) outline.program += "; ";
    if (statement.output) outline.program += "out ";
    for (std::size_t i = 0; i < statement.tokens.size(); ++i) {
      const Token& token = statement.tokens[i];
      const bool tight = i == 0 || token.is(".") || token.is("]") || token.is(")") || token.is("[") ||
                         statement.tokens[i - 1].is(".") || statement.tokens[i - 1].is("[") || statement.tokens[i - 1].is("(");
      if (!tight) outline.program.push_back(' ');
      if (token.kind != Token::Kind::text) {
        outline.program += token.value;
        continue;
      }
      const std::string_view value = token.value;
      const std::size_t frame = kSystemBegin.size() + kSystemEnd.size();
      const bool system = value.size() > frame && value.starts_with(kSystemBegin) && value.ends_with(kSystemEnd);
      const auto inner = system ? value.substr(kSystemBegin.size(), value.size() - frame) : std::string_view();
      if (system && !outline.system && inner.find("<|") == std::string_view::npos) {
        outline.system = inner;
        quote(std::string(kSystemBegin) + std::string(kOutlineSystem) + std::string(kSystemEnd), outline.program);
      } else {
        quote(value, outline.program);
      }
    }
  }
  return outline;
}

}  // namespace baton
