// The text of a problem: fields between commas, each a word and the numbers behind it ("k3x3"), or numbers alone
// ("1x64x56x56").
#pragma once
#include <optional>
#include "tools/problem.h"

namespace tools {
class ProblemFields {
 public:
  explicit ProblemFields(const std::string& text);

  bool flag(std::string_view name);  // a word without numbers
  // `count` (1, 2 or 4) numbers in [least, most] behind the word; fewer are repeated. Without a fallback, the field
  // must be there.
  std::vector<int64_t> numbers(std::string_view name, size_t count, int64_t least, int64_t most,
                               std::optional<int64_t> fallback = std::nullopt);
  int64_t number(std::string_view name, int64_t least, int64_t most) { return numbers(name, 1, least, most)[0]; }
  // `count` numbers that no word stands before; `what` is what errors call them.
  std::vector<int64_t> extents(size_t count, const char* what, int64_t most);
  std::string word(const char* what);  // the whole text of the first that is left
  void finish() const;                 // throws where a field is left

 private:
  struct Field {
    std::string text, name;
    std::vector<int64_t> numbers;
    bool used = false;
  };
  Field* find(std::string_view name);
  std::vector<Field> fields_;
};
}  // namespace tools
