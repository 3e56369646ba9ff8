// Every sentence the page says, in the languages it speaks. {x} is filled in.

const words = {
  en: {
    username: "User name", password: "Password",
    log_in: "Log in", sign_up: "Create account", log_out: "Log out",
    to_sign_up: "No account yet? Create one", to_log_in: "You have an account? Log in",
    unsent_leave: "Some messages are not sent yet. Log out and lose them?",
    skip: "Skip to message", rooms: "Rooms", open_rooms: "Show rooms", close_rooms: "Hide rooms",
    new_room: "New room", unread: "{n} unread", agent: "Agent", more: "More rooms", home: "What is on your mind?",
    conversation: "Conversation", earlier: "Earlier messages", latest: "↓ Latest", message: "Message",
    send: "Send", stop: "Stop", stopping: "Stopping…",
    connecting: "Connecting…", online: "Connected", waiting: "Connection lost, trying again…",
    blocked: "This page cannot connect. Reload it.",
    sending: "Sending…", not_sent: "Not sent: {why}", again: "Send again", discard: "Discard",
    try_again: "Try again", retrying: "Trying again…",
    queued: "Waiting", queued_at: "Waiting, number {n} in line", thinking: "Thinking…", streaming: "Writing…",
    recovering: "Interrupted, starting again…", offline_answer: "It goes on once the connection is back.",
    stopped: "Stopped", failed: "No answer: {why}", cut_short: "Ended early ({why})", erased: "Erased",
    says: "{name}: {text}", answering: "{name} is answering", answered: "{name} has answered",
    answer_stopped: "Answer of {name} stopped", answer_failed: "{name} could not answer",
    no_room: "There is no such room.",
    why_unreachable: "the server cannot be reached", why_unauthenticated: "wrong user name or password",
    why_conflict: "this name is taken", why_forbidden: "this is not allowed", why_too_large: "it is too long",
    why_rate_limited: "too many requests, wait a little", why_quota_exceeded: "your quota is used up",
    why_overloaded: "the server is busy", why_storage_unavailable: "nothing can be stored now",
    why_invalid_field: "something in it is not allowed",
    end_unreachable: "the model cannot be reached", end_timed_out: "the model took too long",
    end_status: "the model refused", end_not_a_stream: "the model's reply made no sense",
    end_cut: "the model broke off", end_in_stream: "the model reported an error", end_too_large: "it became too long",
    end_budget_spent: "it took too long or cost too much", end_expired: "it waited too long",
    end_poison: "it could not be worked on",
  },
  ko: {
    username: "사용자 이름", password: "비밀번호",
    log_in: "로그인", sign_up: "계정 만들기", log_out: "로그아웃",
    to_sign_up: "계정이 없나요? 만들기", to_log_in: "계정이 있나요? 로그인",
    unsent_leave: "아직 보내지 못한 메시지가 있습니다. 버리고 로그아웃할까요?",
    skip: "메시지로 건너뛰기", rooms: "대화방", open_rooms: "대화방 보기", close_rooms: "대화방 숨기기",
    new_room: "새 대화방", unread: "읽지 않은 메시지 {n}개", agent: "에이전트", more: "대화방 더 보기", home: "무슨 이야기를 할까요?",
    conversation: "대화", earlier: "이전 메시지", latest: "↓ 최신 메시지", message: "메시지",
    send: "보내기", stop: "중지", stopping: "중지하는 중…",
    connecting: "연결하는 중…", online: "연결됨", waiting: "연결이 끊겨 다시 시도하는 중…",
    blocked: "연결할 수 없습니다. 새로 고침 하세요.",
    sending: "보내는 중…", not_sent: "보내지 못함: {why}", again: "다시 보내기", discard: "버리기",
    try_again: "다시 시도", retrying: "다시 시도하는 중…",
    queued: "대기 중", queued_at: "대기 중, 순서 {n}번째", thinking: "생각하는 중…", streaming: "쓰는 중…",
    recovering: "중단되어 다시 시작하는 중…", offline_answer: "연결되면 이어집니다.",
    stopped: "중지됨", failed: "답변 실패: {why}", cut_short: "일찍 끝남 ({why})", erased: "삭제됨",
    says: "{name}: {text}", answering: "{name} 답변 중", answered: "{name} 답변 완료",
    answer_stopped: "{name} 답변 중지됨", answer_failed: "{name} 답변 실패",
    no_room: "없는 대화방입니다.",
    why_unreachable: "서버에 연결할 수 없습니다", why_unauthenticated: "사용자 이름이나 비밀번호가 맞지 않습니다",
    why_conflict: "이미 쓰는 이름입니다", why_forbidden: "허용되지 않습니다", why_too_large: "너무 깁니다",
    why_rate_limited: "요청이 너무 많습니다. 잠시 기다려 주세요", why_quota_exceeded: "할당량을 다 썼습니다",
    why_overloaded: "서버가 바쁩니다", why_storage_unavailable: "지금 저장할 수 없습니다",
    why_invalid_field: "허용되지 않는 내용이 있습니다",
    end_unreachable: "모델에 연결할 수 없습니다", end_timed_out: "모델이 너무 오래 걸렸습니다",
    end_status: "모델이 거절했습니다", end_not_a_stream: "모델의 응답을 읽을 수 없습니다",
    end_cut: "모델이 중간에 끊었습니다", end_in_stream: "모델이 오류를 알렸습니다", end_too_large: "너무 길어졌습니다",
    end_budget_spent: "시간이나 비용 한도를 넘었습니다", end_expired: "너무 오래 기다렸습니다",
    end_poison: "처리할 수 없습니다",
  },
};

export const language = (navigator.languages ?? [navigator.language]).map((l) => l.slice(0, 2).toLowerCase())
  .find((l) => l in words) ?? "en";

export function t(key, params = {}) {
  return (words[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => params[name] ?? "");
}

// A code of the server in words; one without a sentence is shown as it is.
export const why = (code) => words[language][`why_${code}`] ?? code;
// Why an answer failed.
export const end_why = (code) => words[language][`end_${code}`] ?? why(code);
