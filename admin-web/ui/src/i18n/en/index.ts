// English: the pattern for every other language.

import * as frame from "./frame";
import * as screens from "./screens";
import * as reasons from "./reasons";
import { words } from "./words";

export const en = { ...frame, ...screens, ...reasons, words };
