//! Policy files: whatever stands in one, an answer; and what is read is written and read again as the same.

use super::Answer;
use crate::corpus;
use pgw_policy::text::{parse, write};

const SEED: &str = "[[groups]]\nname = \"g\"\n[[apps]]\nname = \"a\"\nprefixes = [\"10.1.0.0/16\"]\nservices = [\"tcp/443\"]\n\
    [[rules]]\nname = \"r\"\norder = 1\nsubject = \"group:g\"\napp = \"a\"\ndirection = \"out\"\nverdict = \"allow\"\n\
    hours = \"mon-fri 08:00-18:00 Asia/Tokyo\"\nuntil = 2030-01-01T00:00:00Z\n\
    [[templates]]\nname = \"t\"\nparameters = [\"p\"]\n[[templates.rules]]\nname = \"x\"\norder = 2\n\
    subject = \"group:${p}\"\napp = \"a\"\ndirection = \"in\"\nto = [\"tcp/22\"]\nverdict = \"deny\"\n\
    [[uses]]\nname = \"u\"\ntemplate = \"t\"\nwith = { p = \"g\" }\n\
    [[tests]]\nname = \"c\"\nexpect = \"allow\"\ngroups = [\"g\"]\napp = \"a\"\nservice = \"tcp/443\"\n";

/// One file with everything in it, and the forms that were found to take long.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus::load("policy-text", "none");
    seeds.push(SEED.as_bytes().to_vec());
    seeds.extend(long().map(String::into_bytes));
    seeds
}

/// A name without an end, a text of nothing but places for parameters, a list of unknown groups in one line, and templates
/// that hand what they got to the next one twice.
fn long() -> [String; 4] {
    let filled = format!(
        "[[templates]]\nname = \"t\"\nparameters = [\"a\"]\n[[templates.rules]]\nname = \"{}\"\n\
         [[uses]]\nname = \"u\"\ntemplate = \"t\"\nwith = {{ a = \"x\" }}\n",
        "${a}".repeat(20_000)
    );
    let groups: String = (0..20_000).map(|n| format!("\"g{n}\",")).collect();
    let test = "[[tests]]\nname = \"t\"\nexpect = \"deny\"\naddress = \"10.0.0.1\"\nservice = \"tcp/1\"\n";
    let chain = |n| {
        format!(
            "[[templates]]\nname = \"t{n}\"\nparameters = [\"p\"]\n[[templates.uses]]\nname = \"u\"\n\
             template = \"t{}\"\nwith = {{ p = [\"${{p}}\", \"${{p}}\"] }}\n",
            n + 1
        )
    };
    let doubled = (0..30).map(chain).collect::<String>()
        + "[[templates]]\nname = \"t30\"\nparameters = [\"p\"]\n\
           [[uses]]\nname = \"u\"\ntemplate = \"t0\"\nwith = { p = [1] }\n";
    [format!("{}ict = \"x\"\n", "dr".repeat(20_000)), filled, format!("{test}groups = [{groups}]\n"), doubled]
}

/// A policy author is no stranger: what a refused file costs is not judged.
pub fn run(input: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(input) else { return Answer::Lived("no text".to_owned()) };
    match parse(text) {
        Err(found) if found.iter().all(|f| f.place.is_some()) && !found.is_empty() => {
            Answer::Lived("refused with places".to_owned())
        }
        Err(found) => Answer::Broken(format!("refused without a place: {found:?}")),
        Ok(parsed) => match parse(&write(&parsed.text)) {
            Ok(again) if again == parsed => Answer::read("a policy"),
            other => Answer::Broken(format!("{parsed:?} was written and read as {other:?}")),
        },
    }
}
