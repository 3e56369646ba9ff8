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
    queued: "Waiting", thinking: "Thinking…", streaming: "Writing…",
    recovering: "Interrupted, starting again…", offline_answer: "It goes on once the connection is back.",
    stopped: "Stopped", failed: "No answer: {why}", cut_short: "Ended early ({why})", erased: "Erased",
    says: "{name}: {text}", answering: "{name} is answering", answered: "{name} has answered",
    answer_stopped: "Answer of {name} stopped", answer_failed: "{name} could not answer",
    no_room: "There is no such room.",
    later_button: "Later", later: "Send later", send_later: "Send later; {n} scheduled", how_often: "How often",
    once: "Once", daily: "Every day", weekdays: "Every weekday", weekly: "Every week", cron: "By a crontab line",
    moment: "Date and time", weekday: "Day", hour: "Time", cron_line: "Minute, hour, day, month, weekday",
    your_zone: "Times are in your time zone, {zone}.", schedule: "Schedule", drop: "Cancel it", close: "Close",
    scheduled_here: "Scheduled in this room", none_scheduled: "Nothing yet.",
    nothing_written: "Write a message first, then schedule it here.", next: "next {at}",
    each_day: "every day at {time}", each_weekday: "every weekday at {time}", each_week: "every {day} at {time}",
    was_scheduled: "Scheduled message", later_failed: "What {name} had scheduled for {at} was not sent: {why}",
    why_not_a_member: "not a member any more", why_no_such_agent: "the agent is not there any more",
    why_poison: "it made the server fail again and again",
    why_unreachable: "the server cannot be reached", why_unauthenticated: "wrong user name or password",
    why_conflict: "this name is taken", why_forbidden: "this is not allowed", why_too_large: "it is too long",
    why_rate_limited: "too many requests, wait a little", why_quota_exceeded: "your quota is used up",
    why_overloaded: "the server is busy", why_storage_unavailable: "nothing can be stored now",
    why_invalid_field: "something in it is not allowed",
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
    queued: "대기 중", thinking: "생각하는 중…", streaming: "쓰는 중…",
    recovering: "중단되어 다시 시작하는 중…", offline_answer: "연결되면 이어집니다.",
    stopped: "중지됨", failed: "답변 실패: {why}", cut_short: "일찍 끝남 ({why})", erased: "삭제됨",
    says: "{name}: {text}", answering: "{name} 답변 중", answered: "{name} 답변 완료",
    answer_stopped: "{name} 답변 중지됨", answer_failed: "{name} 답변 실패",
    no_room: "없는 대화방입니다.",
    later_button: "나중에", later: "나중에 보내기", send_later: "나중에 보내기, 예약 {n}개", how_often: "반복",
    once: "한 번", daily: "매일", weekdays: "평일마다", weekly: "매주", cron: "crontab 형식",
    moment: "날짜와 시간", weekday: "요일", hour: "시간", cron_line: "분, 시, 일, 월, 요일",
    your_zone: "시간은 내 시간대({zone}) 기준입니다.", schedule: "예약하기", drop: "예약 취소", close: "닫기",
    scheduled_here: "이 대화방의 예약", none_scheduled: "아직 없습니다.",
    nothing_written: "먼저 메시지를 쓴 다음 여기서 예약하세요.", next: "다음 {at}",
    each_day: "매일 {time}", each_weekday: "평일 {time}", each_week: "매주 {day} {time}",
    was_scheduled: "예약 메시지", later_failed: "{name} 님이 {at}에 예약한 메시지를 보내지 못했습니다: {why}",
    why_not_a_member: "이제 구성원이 아닙니다", why_no_such_agent: "에이전트가 더 이상 없습니다",
    why_poison: "서버 오류가 계속 일어났습니다",
    why_unreachable: "서버에 연결할 수 없습니다", why_unauthenticated: "사용자 이름이나 비밀번호가 맞지 않습니다",
    why_conflict: "이미 쓰는 이름입니다", why_forbidden: "허용되지 않습니다", why_too_large: "너무 깁니다",
    why_rate_limited: "요청이 너무 많습니다. 잠시 기다려 주세요", why_quota_exceeded: "할당량을 다 썼습니다",
    why_overloaded: "서버가 바쁩니다", why_storage_unavailable: "지금 저장할 수 없습니다",
    why_invalid_field: "허용되지 않는 내용이 있습니다",
  },
};

export const language = (navigator.languages ?? [navigator.language]).map((l) => l.slice(0, 2).toLowerCase())
  .find((l) => l in words) ?? "en";

export function t(key, params = {}) {
  return (words[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => params[name] ?? "");
}

// A code of the server in words; one without a sentence is shown as it is.
export const why = (code) => words[language][`why_${code}`] ?? code;
