#include "net/inner_call.hpp"

#include <future>

#include "net/routes.hpp"
#include "net/worker.hpp"

namespace maru::net {

local_reply inner_call(actors::front& front, const config::settings& settings, const local_request& what) {
  hub inner(front, settings, system_clock(), {}, nullptr, std::make_shared<metrics>());
  http_request request;
  request.method = what.method;
  request.target = what.path;
  request.authorization = "Bearer " + what.token;
  request.body = what.body;
  std::size_t counted_as = 0;
  const auto next = route(inner.with, request, counted_as);
  if (const auto* reply = std::get_if<http_reply>(&next)) return {reply->status, reply->body};
  const auto* question = std::get_if<call>(&next);
  if (question == nullptr) return {};
  const auto promised = std::make_shared<std::promise<http_reply>>();
  front.call(question->token, question->what,
             [promised, render = question->render](const actors::api::reply& got) {
               promised->set_value(render(got));
             });
  auto reply = promised->get_future().get();
  return {reply.status, std::move(reply.body)};
}

} // namespace maru::net
