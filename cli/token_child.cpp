#include "cli/token_child.h"

#include <chrono>

#include "tokens/reading.h"

namespace hsmith::cli {
namespace {

constexpr std::chrono::minutes kLimit{10};

}  // namespace

Json in_token_child(Context& context, const tokens::Selector* selector, const std::string& doing,
                    const TokenWork& work) {
  const tokens::Reach way = reach(context, selector);
  const std::size_t known = context.warnings.size();
  const Json answer = Json::parse(tokens::run_in_child(doing, kLimit, [&](const tokens::Say& say) {
    const tokens::OpenToken token =
        open_for_user(context, pkcs11::Access::read_write, way, selector);
    const auto lock = tokens::lock_token(way, token.info);
    const Json result = tokens::while_doing(doing, [&] { return work(token, say); });
    Json report{{"result", result}, {"warnings", Json::array()}};
    for (std::size_t i = known; i < context.warnings.size(); ++i)
      report["warnings"].push_back(json_text(context.warnings[i]));
    return report.dump();
  }));
  for (const Json& warning : answer["warnings"])
    context.warnings.push_back(warning.get<std::string>());
  return answer["result"];
}

}  // namespace hsmith::cli
