// 日本語。キーと引数は英語版に従う (過不足があると型検査で失敗する)。

import type { Messages } from "..";
import * as frame from "./frame";
import * as policy from "./policy";
import * as reasons from "./reasons";
import * as screens from "./screens";
import { words } from "./words";

export const ja: Messages = { ...frame, ...policy, ...screens, ...reasons, words };
