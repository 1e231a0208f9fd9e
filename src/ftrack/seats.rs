//! How many seats the licence has, where the server tells. Its form is not documented, so what does
//! not look like one number of seats is taken for nothing.

use serde_json::Value;

use super::{
    operation::Operation,
    session::{Reader, Until},
};

/// More seats than anybody has.
const MOST: u64 = 1_000_000;

/// The number of seats; none where the server does not tell, or not clearly, or does not answer:
/// nothing depends on it.
pub async fn seats(reader: &Reader, until: &Until) -> Option<usize> {
    let operation = Operation::QueryServerValues {
        values: &["license"],
    };
    let answers = reader.read_call(&[operation], until).await.ok()?;
    of_licence(answers.first()?.get("license")?)
}

/// The number of seats of a licence that names exactly one.
fn of_licence(licence: &Value) -> Option<usize> {
    let features = match licence {
        Value::Array(features) => features.as_slice(),
        Value::Object(_) => std::slice::from_ref(licence),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    let quantities = features.iter().map(|feature| feature.get("quantity"));
    let mut quantities = quantities.flatten();
    match (quantities.next(), quantities.next()) {
        (Some(only), None) => number(only),
        // It is not known which of several features is the one that active users take.
        (_, _) => None,
    }
}

fn number(quantity: &Value) -> Option<usize> {
    let number = match quantity {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.trim().parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    // Nobody buys none; then it means something else.
    (1..=MOST)
        .contains(&number)
        .then(|| usize::try_from(number).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of_licence;

    #[test]
    fn only_one_number_of_seats_is_believed() {
        for (licence, seats) in [
            (json!([{"feature_id": "ftrack", "quantity": 25}]), Some(25)),
            (json!({"quantity": "25"}), Some(25)),
            (
                json!([{"feature_id": "a"}, {"feature_id": "b", "quantity": 3}]),
                Some(3),
            ),
            (json!([{"quantity": 3}, {"quantity": 3}]), None),
            (json!([{"quantity": 0}]), None),
            (json!([{"quantity": -1}]), None),
            (json!([{"quantity": 2.5}]), None),
            (json!([{"quantity": 18_446_744_073_709_551_615_u64}]), None),
            (json!([{"quantity": null}]), None),
            (json!([{"quantity": [25]}]), None),
            (json!([]), None),
            (json!(25), None),
            (json!("unlimited"), None),
            (json!(null), None),
        ] {
            assert_eq!(of_licence(&licence), seats, "{licence}");
        }
    }
}
