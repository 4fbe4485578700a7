#!/usr/bin/env bash
# The work of one run with the AWS CLI:  provision.sh SITE BUCKET CIDR
set -euo pipefail
site=$1 bucket=$2 cidr=$3 region=$AWS_REGION

vpc=$(aws ec2 describe-vpcs --filters "Name=tag:vbr-privatelink,Values=$site" --query 'Vpcs[0].VpcId' --output text)
read -ra subnets < <(aws ec2 describe-subnets --filters "Name=vpc-id,Values=$vpc" --query 'Subnets[].SubnetId' --output text)

if ! aws s3api head-bucket --bucket "$bucket" >/dev/null 2>&1; then
  aws s3api create-bucket --bucket "$bucket" --create-bucket-configuration "LocationConstraint=$region" \
    --object-ownership BucketOwnerEnforced >/dev/null
  aws s3api put-public-access-block --bucket "$bucket" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
fi

endpoint=$(aws ec2 describe-vpc-endpoints --filters "Name=vpc-id,Values=$vpc" --query 'VpcEndpoints[0].VpcEndpointId' --output text)
if [[ $endpoint == None ]]; then
  group=$(aws ec2 create-security-group --group-name "$site-s3" --description 'S3 endpoint' --vpc-id "$vpc" --query GroupId --output text)
  aws ec2 authorize-security-group-ingress --group-id "$group" --protocol tcp --port 443 --cidr "$cidr" >/dev/null
  endpoint=$(aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --vpc-id "$vpc" --no-private-dns-enabled \
    --service-name "com.amazonaws.$region.s3" --subnet-ids "${subnets[@]}" --security-group-ids "$group" \
    --policy-document "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":[\"arn:aws:s3:::$bucket\",\"arn:aws:s3:::$bucket/*\"]}]}" \
    --query VpcEndpoint.VpcEndpointId --output text)
fi
until state=$(aws ec2 describe-vpc-endpoints --vpc-endpoint-ids "$endpoint" --query 'VpcEndpoints[0].State' --output text) \
  && [[ ${state,,} == available ]]; do
  sleep 1
done
name=$(aws ec2 describe-vpc-endpoints --vpc-endpoint-ids "$endpoint" \
  --query "VpcEndpoints[0].DnsEntries[?starts_with(DnsName, '*.')].DnsName | [0]" --output text)

aws s3api put-bucket-policy --bucket "$bucket" --policy "{\"Version\":\"2012-10-17\",\"Statement\":[{
  \"Sid\":\"DenyObjectAccessOutsideEndpoint\",\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:*\",
  \"Resource\":\"arn:aws:s3:::$bucket/*\",\"Condition\":{\"StringNotEquals\":{\"aws:SourceVpce\":\"$endpoint\"},
  \"BoolIfExists\":{\"aws:PrincipalIsAWSService\":\"false\"}}}]}"
if said=$(aws s3api put-object --bucket "$bucket" --key probe --if-match '"0"' 2>&1); then
  echo 'the bucket is open' >&2; exit 1
fi
[[ $said == *'explicit deny in a resource-based policy'* ]] || { echo "$said" >&2; exit 1; }

aws ssm put-parameter --name "/rivals/$site/endpoint" --type String --overwrite \
  --value "{\"site\":\"$site\",\"vpc_endpoint_id\":\"$endpoint\",\"endpoint_host\":\"bucket${name#\*}\"}" >/dev/null
