// English: the pattern for every other language.

import * as frame from "./frame";
import * as policy from "./policy";
import * as screens from "./screens";
import * as reasons from "./reasons";
import { words } from "./words";

export const en = { ...frame, ...policy, ...screens, ...reasons, words };
