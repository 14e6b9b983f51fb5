//! What is wrong with a line: where, what, and what to do about it, in both languages.
//!
//! A finding is kept as its code with its values and put into words when it is read, in the language of the reader. A
//! value that may be a key is never one of them.

use crate::problem::{Said, say};
use serde_json::{Value, json};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Line of the file, from 1; the header is the first.
    pub line: u64,
    /// Name of the column; empty where it is about the whole line.
    pub column: String,
    /// Its kind: a stable word.
    pub code: String,
    /// What stands there, as far as it may be shown.
    pub text: String,
    /// What it clashes with or should be: another line, another SIM, a name.
    pub other: String,
}

impl Finding {
    /// A finding without values.
    pub(crate) fn new(line: u64, column: &str, code: &'static str) -> Self {
        Self {
            line,
            column: column.to_owned(),
            code: code.to_owned(),
            text: String::new(),
            other: String::new(),
        }
    }

    /// With what stands there, cut to a bearable length.
    pub(crate) fn text(mut self, text: impl AsRef<str>) -> Self {
        self.text = text.as_ref().chars().filter(|c| !c.is_control()).take(60).collect();
        self
    }

    /// With what it clashes with.
    pub(crate) fn other(mut self, other: String) -> Self {
        self.other = other;
        self
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "line": self.line, "column": self.column, "code": self.code, "text": self.text, "other": self.other })
    }

    /// From what was kept; `None` where it is not one.
    pub(crate) fn of_json(v: &Value) -> Option<Self> {
        let text = |k: &str| v.get(k).and_then(Value::as_str).map(ToOwned::to_owned);
        Some(Self {
            line: v.get("line")?.as_u64()?,
            column: text("column")?,
            code: text("code")?,
            text: text("text").unwrap_or_default(),
            other: text("other").unwrap_or_default(),
        })
    }

    /// True where the line counts all the same.
    pub(crate) fn is_warning(&self) -> bool {
        matches!(self.code.as_str(), "test-key" | "other-plmn" | "open5gs-left-out")
    }

    /// What is wrong, and what to do.
    pub(crate) fn words(&self) -> (Said, Said) {
        let (text, other) = (&self.text, &self.other);
        let column = &self.column;
        match self.code.as_str() {
            "lost-character" => (
                say!(
                    "a character was lost when this file was saved: in its place stands \u{fffd}",
                    "保存時に文字が失われ、\u{fffd} に置き換わっています"
                ),
                say!(
                    "type it again and save the file as UTF-8 (in a spreadsheet: \"CSV UTF-8\")",
                    "入力し直し、UTF-8 で保存してください (表計算ソフトでは「CSV UTF-8」)"
                ),
            ),
            "spreadsheet-number" => (
                say!(
                    "{text} is what a spreadsheet makes of a long number: its last digits are lost",
                    "{text} は表計算ソフトが長い数字を数値に変換したもので、下位の桁が失われています"
                ),
                say!(
                    "they cannot be calculated back: take the digits from the supplier's file or the card, with the column set to text",
                    "元の数字は復元できません。列の書式を「文字列」にして、ベンダーの元ファイルまたはカードの印字から入力し直してください"
                ),
            ),
            "digits-lost" => (
                say!(
                    "{text} ends in zeros behind its 15th digit and its check digit is wrong: a spreadsheet keeps 15 digits of a number",
                    "{text} は 16 桁目以降が 0 で、検査数字も合いません。表計算ソフトは数値の 15 桁までしか保持しません"
                ),
                say!(
                    "take the digits from the supplier's file or the card, with the column set to text",
                    "列の書式を「文字列」にして、ベンダーの元ファイルまたはカードの印字から入力し直してください"
                ),
            ),
            "zeros-lost" => (
                say!(
                    "{text} has lost the zeros that it began with: a spreadsheet takes them from a number",
                    "{text} は先頭の 0 が失われています (表計算ソフトが数値として扱ったため)"
                ),
                say!(
                    "it would be {other}: set the column to text and write it so",
                    "正しくは {other} と思われます。列の書式を「文字列」にして入力し直してください"
                ),
            ),
            "bad-check-digit" => (
                say!("the check digit of {text} is wrong", "{text} の検査数字 (末尾 1 桁) が合いません"),
                say!(
                    "compare it with the device (*#06#) or the box: a digit is wrong or two are swapped",
                    "端末 (*#06#) または箱の印字と照合してください。桁の誤りか入れ替わりがあります"
                ),
            ),
            "test-key" => (
                say!(
                    "this K stands in published examples: whoever knows them can be this SIM",
                    "この K は公開されている例と同じです。例を知っている人は誰でもこの SIM になりすませます"
                ),
                say!(
                    "right for a laboratory; elsewhere use a card with a key of its own",
                    "実験用なら問題ありません。それ以外では固有の鍵を持つカードを使ってください"
                ),
            ),
            "open5gs-left-out" => (
                say!(
                    "of this Open5GS subscriber {other} is not taken over",
                    "この Open5GS 加入者の {other} は引き継がれません"
                ),
                say!(
                    "everything else is; say in rules what the SIM may reach, and in the data network whether it has IPv6",
                    "それ以外は引き継がれます。到達先はルールで、IPv6 の有無はデータネットワークで設定してください"
                ),
            ),
            "open5gs-old" => (
                say!(
                    "this subscriber was written by an Open5GS before 2.3, which knew no slices",
                    "この加入者は Open5GS 2.3 より前の形式 (スライスなし) です"
                ),
                say!(
                    "save it once in the web form of a newer release, and export again",
                    "新しいリリースの Web 画面で一度保存してから、もう一度エクスポートしてください"
                ),
            ),
            "open5gs-unread" => (
                say!(
                    "this object has a member `security` as Open5GS's subscribers have, and is none",
                    "Open5GS の加入者と同じ `security` がありますが、加入者の形式ではありません"
                ),
                say!(
                    "export the collection `subscribers` with mongoexport, and leave the file as it is",
                    "mongoexport でコレクション `subscribers` をエクスポートし、ファイルはそのまま使ってください"
                ),
            ),
            "key-algorithm" => (
                say!(
                    "this SIM runs {text}, and these are keys of another algorithm",
                    "この SIM は {text} を使っており、鍵のアルゴリズムが異なります"
                ),
                say!(
                    "leave the keys empty; a card with another algorithm is a new SIM",
                    "鍵を空欄にしてください。別のアルゴリズムのカードは新しい SIM として登録します"
                ),
            ),
            "bad-algorithm" => (
                say!("{text} is no algorithm", "{text} というアルゴリズムはありません"),
                say!("give milenage or tuak", "milenage か tuak を指定してください"),
            ),
            "bad-iterations" => (
                say!("{text} is not 1 to 255", "{text} は 1〜255 の数ではありません"),
                say!("leave it empty for 1", "1 の場合は空欄にしてください"),
            ),
            "other-algorithm" => (
                say!("it is not of {text}", "{text} の項目ではありません"),
                say!(
                    "leave it empty, or write the card's algorithm into the column algorithm",
                    "空欄にするか、algorithm 列にカードのアルゴリズムを指定してください"
                ),
            ),
            "other-plmn" => (
                say!(
                    "{text} is not of this network ({other})",
                    "{text} はこのネットワーク ({other}) の IMSI ではありません"
                ),
                say!(
                    "right for a SIM of a partner; else compare it with the card",
                    "提携先の SIM なら問題ありません。それ以外はカードと照合してください"
                ),
            ),
            "broken-off" => (
                say!("the upload broke off", "アップロードが途中で切れました"),
                say!(
                    "send the whole file again; nothing was written",
                    "ファイル全体を送り直してください (何も書き込まれていません)"
                ),
            ),
            "not-utf8" if other.is_empty() => (
                say!("the file is not UTF-8", "ファイルが UTF-8 ではありません"),
                say!(
                    "save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")",
                    "UTF-8 で保存し直してください (表計算ソフトでは「CSV UTF-8」)"
                ),
            ),
            "not-utf8" => (
                say!(
                    "the file is not UTF-8; it seems to be {other}",
                    "ファイルが UTF-8 ではありません ({other} と思われます)"
                ),
                say!(
                    "save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")",
                    "UTF-8 で保存し直してください (表計算ソフトでは「CSV UTF-8」)"
                ),
            ),
            "empty" => (
                say!("there is no line in it", "ファイルに行がありません"),
                say!(
                    "begin with a header: imsi,k,opc,iccid,label,state,groups,dnns",
                    "ヘッダー行から始めてください: imsi,k,opc,iccid,label,state,groups,dnns"
                ),
            ),
            "unknown-column" if text.is_empty() => (
                say!("this is no column that is known", "未知の列です"),
                say!(
                    "the first line is the header; the nearest name is {other}",
                    "1 行目はヘッダーです。最も近い列名: {other}"
                ),
            ),
            "unknown-column" => (
                say!("there is no column {text}", "{text} という列はありません"),
                say!(
                    "did you mean {other}? Correct the name or remove the column",
                    "{other} ではありませんか。列名を訂正するか、列を削除してください"
                ),
            ),
            "column-twice" => (
                say!("the column {column} is there twice", "列 {column} が重複しています"),
                say!("remove one", "一方を削除してください"),
            ),
            "column-missing" => (
                say!("the column {column} is missing", "列 {column} がありません"),
                say!("add it to the header", "ヘッダーに追加してください"),
            ),
            "cell-count" => (
                say!(
                    "the line has {text} cells, the header {other}",
                    "この行のセルは {text} 個ですが、ヘッダーは {other} 列です"
                ),
                say!(
                    "put a cell that holds a comma between quotes; add what is missing",
                    "カンマを含むセルは引用符で囲み、不足するセルを補ってください"
                ),
            ),
            "unclosed-quote" => (
                say!(
                    "the quote that opens at line {other} is not closed",
                    "{other} 行目で始まる引用符が閉じていません"
                ),
                say!(
                    "close it; a quote inside a cell is written twice",
                    "閉じてください。セル内の引用符は 2 つ重ねて書きます"
                ),
            ),
            "after-quote" => (
                say!("there is text behind the closing quote", "閉じる引用符の後ろに文字があります"),
                say!("a quote inside a cell is written twice", "セル内の引用符は 2 つ重ねて書きます"),
            ),
            "line-too-long" => (
                say!("the line is longer than 64 KiB", "行が 64 KiB を超えています"),
                say!("look for a quote that is not closed", "閉じていない引用符がないか確認してください"),
            ),
            "too-many-lines" => (
                say!("the file has more than a million lines", "100 万行を超えています"),
                say!("import it in parts", "分割して取り込んでください"),
            ),
            "not-json" => (
                say!("this is not a JSON object", "JSON オブジェクトではありません"),
                say!(
                    "write an array of objects, or one object per line",
                    "オブジェクトの配列、または 1 行に 1 オブジェクトで書いてください"
                ),
            ),
            "unclosed-json" => (
                say!("the JSON ends in the middle of a value", "JSON が途中で終わっています"),
                say!("close what is open from this line on", "この行以降の閉じ忘れを確認してください"),
            ),
            "needed" => (
                say!("{column} is needed for a new SIM", "新しい SIM には {column} が必要です"),
                say!("fill it in", "入力してください"),
            ),
            "bad-imsi" => (
                say!("{text} is not an IMSI", "{text} は IMSI ではありません"),
                say!(
                    "give 6 to 15 digits: MCC, MNC, MSIN; a spreadsheet may have made a number of it",
                    "MCC・MNC・MSIN からなる 6〜15 桁の数字を指定してください (表計算ソフトによる数値化にも注意)"
                ),
            ),
            "bad-iccid" => (
                say!("{text} is not an ICCID", "{text} は ICCID ではありません"),
                say!(
                    "give the 18 to 20 digits printed on the card, with their check digit",
                    "カードに印字された 18〜20 桁の数字を検査数字まで含めて指定してください"
                ),
            ),
            "bad-key" => (
                say!("it is no key in hexadecimal digits", "16 進数の鍵ではありません"),
                say!(
                    "give 32 of 0-9, a-f; of TUAK 64, and of its K also 32",
                    "0-9、a-f の 32 文字で指定してください (TUAK は 64 文字、K は 32 文字も可)"
                ),
            ),
            "both-operator" => (
                say!(
                    "OPc and OP (or TOPc and TOP) are both given",
                    "OPc と OP (または TOPc と TOP) の両方が指定されています"
                ),
                say!("give one of them", "どちらか一方だけを指定してください"),
            ),
            "bad-state" => (
                say!(
                    "{text} is no state that an import can give",
                    "{text} は取り込みで指定できる状態ではありません"
                ),
                say!("give stock, ready or active", "stock、ready、active のいずれかを指定してください"),
            ),
            "bad-name" => (
                say!("{text} is not a name", "{text} は名前として使えません"),
                say!(
                    "a name is 1 to 63 of a-z, 0-9 and inner - _ . ; several are separated by ; or a space",
                    "名前は英小文字・数字と途中の - _ . からなる 1〜63 文字です。複数は ; または空白で区切ります"
                ),
            ),
            "no-group" => (
                say!("there is no group {text}", "グループ {text} はありません"),
                say!(
                    "make it first, or name one that exists",
                    "先に作成するか、既存のものを指定してください"
                ),
            ),
            "no-dnn" => (
                say!("there is no data network {text}", "データネットワーク {text} はありません"),
                say!(
                    "make it first, or name one that exists",
                    "先に作成するか、既存のものを指定してください"
                ),
            ),
            "dnn-twice" => (
                say!("{text} is named twice", "{text} が重複しています"),
                say!(
                    "name each once; the first is the default one",
                    "それぞれ一度だけ指定してください (先頭が既定)"
                ),
            ),
            "dnns-empty" => (
                say!("a SIM has at least one data network", "SIM にはデータネットワークが 1 つ以上必要です"),
                say!("name one", "1 つ以上指定してください"),
            ),
            "bad-slice" => (
                say!("{text} is not a slice", "{text} はスライスではありません"),
                say!(
                    "give SST or SST-SD, for example 1 or 1-0000ff",
                    "SST または SST-SD (例: 1、1-0000ff) を指定してください"
                ),
            ),
            "bad-static" => (
                say!(
                    "{text} is not an address of a data network",
                    "{text} はデータネットワークのアドレス指定ではありません"
                ),
                say!(
                    "write DNN=ADDRESS, for example corp=10.20.3.4",
                    "DNN=アドレス の形で書いてください (例: corp=10.20.3.4)"
                ),
            ),
            "static-dnn" => (
                say!(
                    "the SIM may not use data network {text}",
                    "この SIM はデータネットワーク {text} を使えません"
                ),
                say!("add it to dnns or remove the address", "dnns に追加するか、アドレスを削除してください"),
            ),
            "static-pool" => (
                say!(
                    "{text} is not an address that pool {other} can give",
                    "{text} はプール {other} から割り当てられるアドレスではありません"
                ),
                say!(
                    "choose one inside the pool that is neither its network, its gateway (the first) nor its broadcast address",
                    "プール内で、ネットワーク・ゲートウェイ (先頭)・ブロードキャスト以外のアドレスを選んでください"
                ),
            ),
            "no-entity" => (
                say!("there is no {column} {text}", "{column} {text} はありません"),
                say!(
                    "make it first, or name one that exists",
                    "先に作成するか、既存のものを指定してください"
                ),
            ),
            "bad-rate" => (
                say!("{text} is not a rate", "{text} は速度ではありません"),
                say!(
                    "give bits per second, for example 100000000",
                    "bit/s で指定してください (例: 100000000)"
                ),
            ),
            "bad-device" => (
                say!("{text} does not name a device", "{text} は端末の指定ではありません"),
                say!(
                    "give the IMEI (15 digits), or its first 14 (TAC and serial number)",
                    "IMEI (15 桁)、またはその先頭 14 桁 (TAC とシリアル番号) を指定してください"
                ),
            ),
            "bad-sqn" => (
                say!("{text} is not possible here", "{text} はここでは指定できません"),
                say!(
                    "sqn_mode is time or counter, sqn_ind_bits 0 to 16, sqn_delta at least 2, exported_seq below 2^43",
                    "sqn_mode は time か counter、sqn_ind_bits は 0〜16、sqn_delta は 2 以上、exported_seq は 2^43 未満です"
                ),
            ),
            "bad-label" => (
                say!(
                    "it is longer than 200 characters or holds a control character",
                    "200 文字を超えるか、制御文字が含まれています"
                ),
                say!(
                    "write it on one short line of plain text",
                    "改行などを含まない短い文字列にしてください"
                ),
            ),
            "twice" => (
                say!("line {other} has the same {column}", "{other} 行目と {column} が同じです"),
                say!("keep the line that is right and remove the other", "正しい行だけを残してください"),
            ),
            "taken" => (
                say!("SIM {other} has this {column}", "この {column} は SIM {other} が使用中です"),
                say!("correct it, or change that SIM first", "訂正するか、先にその SIM を変更してください"),
            ),
            "key-differs" => (
                say!("this is not the key that the SIM has", "登録済みの鍵と異なります"),
                say!(
                    "check that it is the right card; to replace the key on purpose import with replace_keys=true",
                    "カードが正しいか確認してください。意図した鍵の交換なら replace_keys=true で取り込んでください"
                ),
            ),
            "key-incomplete" => (
                say!(
                    "K and OPc or OP (of TUAK: TOPc or TOP) are given together or not at all",
                    "K と OPc または OP (TUAK では TOPc または TOP) は両方指定するか、両方省略します"
                ),
                say!("add the one that is missing", "不足する方を追加してください"),
            ),
            "retired" => (
                say!(
                    "this SIM is retired and its key destroyed",
                    "この SIM は廃止済みで、鍵は破棄されています"
                ),
                say!("remove the line", "行を削除してください"),
            ),
            _ => (
                say!("the line is not right", "行に誤りがあります"),
                say!("see the documented header", "ヘッダーの説明を参照してください"),
            ),
        }
    }
}
